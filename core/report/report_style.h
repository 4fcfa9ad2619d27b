// The style sheet of HTML reports: light, 720 px of text, contents left, provenance right, one column on paper.
#pragma once

namespace moescope {

inline constexpr const char* report_css = R"css(
:root{--text1:#1A1C1F;--text2:#4C5157;--text3:#646A71;--line:#DADDE0;--accent:#1B5FD0;--raised:#F4F5F6}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:#fff;color:var(--text1);font:14px/22px Inter,"Segoe UI","Helvetica Neue",Arial,sans-serif}
a{color:var(--accent);text-decoration:none}
a:hover,a:focus-visible{text-decoration:underline}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;background:#fff;padding:4px 8px;z-index:1}
.page{display:grid;grid-template-columns:232px minmax(0,720px) 336px;column-gap:56px;max-width:1440px;margin:0 auto;align-items:start}
nav{position:sticky;top:0;height:100vh;overflow:auto;border-right:1px solid var(--line);padding:40px 16px 24px 40px;font-size:13px}
nav h2{font-size:12px;line-height:20px;margin:0 0 12px;color:var(--text2)}
nav ul{list-style:none;margin:0;padding:0}
nav li{display:flex;padding:2px 0}
nav li span{flex:0 0 22px;color:var(--text3);font-size:11px}
nav a{color:var(--text2)}
nav li:first-child a{color:var(--accent);font-weight:600}
nav p{font-size:11px;line-height:17px;color:var(--text3);margin:24px 0 0}
main{padding:40px 0 64px}
h1{font-size:26px;line-height:34px;font-weight:600;margin:0 0 6px}
.subtitle{color:var(--text2);font-size:13px;line-height:20px;margin:0 0 4px}
h2{font-size:17px;line-height:24px;font-weight:600;margin:30px 0 10px}
h3{font-size:14px;line-height:20px;font-weight:600;margin:20px 0 8px}
p{margin:0 0 12px;overflow-wrap:anywhere}
p a{white-space:nowrap}
figure{margin:18px 0 22px;break-inside:avoid}
figure svg{display:block;max-width:100%;height:auto;overflow:visible}
figure.half{display:inline-block;width:calc(50% - 6px);vertical-align:top;margin:8px 0 14px}
figure.half:nth-of-type(odd){margin-right:8px}
figcaption{font-size:12px;line-height:18px;color:var(--text2);margin-top:10px}
figcaption b{color:var(--text1)}
table{border-collapse:collapse;width:100%;margin:10px 0 18px;font-size:12px;line-height:18px}
caption{text-align:left;font-weight:600;font-size:13px;padding-bottom:4px}
th,td{text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid var(--line);vertical-align:top;font-weight:400;overflow-wrap:break-word}
thead th{font-size:11px;color:var(--text2)}
tbody th{color:var(--text1)}
td.num,th.num{text-align:right;padding-right:0;padding-left:10px;white-space:nowrap}
thead th.num{white-space:normal}
td.num{font-family:"JetBrains Mono","DejaVu Sans Mono",Consolas,monospace}
td.off{color:var(--text3)}
code{font-family:"JetBrains Mono","DejaVu Sans Mono",Consolas,monospace;font-size:11px;overflow-wrap:anywhere}
.note{font-size:12px;line-height:18px;color:var(--text3);margin-top:-10px}
aside{padding:40px 32px 40px 0;font-size:12px;line-height:19px}
.card{border:1px solid var(--line);border-radius:6px;padding:14px 16px;margin-bottom:12px}
.card h2{font-size:12px;line-height:18px;margin:0 0 8px;color:var(--text2)}
.card dl{display:grid;grid-template-columns:84px 1fr;margin:0;row-gap:2px}
.card dt{color:var(--text2)}
.card dd{margin:0;overflow-wrap:anywhere}
.card p{margin:0 0 10px;color:var(--text2)}
.card p:last-child{margin:0}
.card table{margin:0;font-size:12px}
.card tr:last-child td,.card tr:last-child th{border-bottom:0}
@media(max-width:1240px){.page{grid-template-columns:minmax(0,720px) 320px;column-gap:40px;padding-left:24px}nav{display:none}}
@media(max-width:900px){.page{display:block;padding:0 16px}aside{padding:0}main{padding:24px 0}}
@media print{
@page{margin:16mm 14mm}
nav,.skip,.links{display:none}
.page{display:block;max-width:none}
main,aside{padding:0}
aside{display:grid;grid-template-columns:1fr 1fr;gap:10px;break-inside:avoid}
.card{break-inside:avoid;margin:0}
h2,h3{break-after:avoid}
tr{break-inside:avoid}
a{color:inherit}
}
)css";

}  // namespace moescope
