#include "core/trace/filter_parser.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace moescope {
namespace {

constexpr std::size_t text_limit = 100'000;
constexpr int depth_limit = 200;
constexpr const char* see_help =
    "The help page on filters shows the forms, for example domain == \"code\" && position < 128";

enum class TokenKind { word, string, number, symbol, end };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;  // of a string, without quotes and escapes
  double number = 0;
  std::size_t column = 1;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::string shown(const Token& token) {
  if (token.kind == TokenKind::end) return "the end of the filter";
  return token.kind == TokenKind::string ? "the text \"" + token.text + "\"" : "'" + token.text + "'";
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Expected<std::vector<Token>> run() {
    std::vector<Token> out;
    while (true) {
      while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
      Token token;
      token.column = column(at_);
      if (at_ == text_.size()) {
        out.push_back(std::move(token));
        return out;
      }
      if (auto read = next(token); !read) return fail(read.error());
      out.push_back(std::move(token));
    }
  }

 private:
  // Characters, not bytes: what a caret in an editor shows. Only ever moves forward.
  std::size_t column(std::size_t byte) {
    for (; counted_ < byte; ++counted_) {
      if ((static_cast<unsigned char>(text_[counted_]) & 0xC0U) != 0x80U) ++characters_;
    }
    return characters_ + 1;
  }

  Expected<void> next(Token& token) {
    const char c = text_[at_];
    if (c == '"' || c == '\'') return string(token, c);
    if (is_digit(c) || ((c == '-' || c == '.') && at_ + 1 < text_.size() && is_digit(text_[at_ + 1])))
      return number(token);
    if (is_word_start(c)) {
      const std::size_t begin = at_;
      while (at_ < text_.size() &&
             (is_word_start(text_[at_]) || is_digit(text_[at_]) || text_[at_] == '-' || single_dot())) {
        ++at_;
      }
      token.kind = TokenKind::word;
      token.text = text_.substr(begin, at_ - begin);
      return {};
    }
    static constexpr std::array<std::string_view, 14> symbols{"==", "!=", "<=", ">=", "&&", "||", "..",
                                                              "<",  ">",  "!",  "(",  ")",  "{",  "}"};
    token.kind = TokenKind::symbol;
    for (const std::string_view symbol : symbols) {
      if (text_.substr(at_).starts_with(symbol)) {
        token.text = symbol;
        at_ += symbol.size();
        return {};
      }
    }
    if (c == ',') {
      token.text = ",";
      ++at_;
      return {};
    }
    const char* const advice = c == '='   ? "Equality is written =="
                               : c == '&' ? "And is written &&"
                               : c == '|' ? "Or is written ||"
                                          : see_help;
    return filter_problem(token.column, fmt::format("'{}' has no meaning in a filter", c), advice);
  }

  // A dot inside a word, as in token.loss, but not the two of a range.
  [[nodiscard]] bool single_dot() const {
    return text_[at_] == '.' && at_ + 1 < text_.size() && text_[at_ + 1] != '.' && text_[at_ - 1] != '.';
  }

  Expected<void> string(Token& token, char quote) {
    token.kind = TokenKind::string;
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == quote) {
        ++at_;
        return {};
      }
      if (c == '\\') {
        if (++at_ == text_.size()) break;
        c = text_[at_] == 'n' ? '\n' : text_[at_] == 't' ? '\t' : text_[at_];
      }
      token.text.push_back(c);
    }
    return filter_problem(token.column, "the text that begins here has no closing quote",
                          fmt::format("Close it with {}", quote));
  }

  Expected<void> number(Token& token) {
    const std::size_t begin = at_;
    const auto digits = [&] {
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    };
    if (text_[at_] == '-') ++at_;
    digits();
    // The first dot of 2..5 belongs to the range.
    if (at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1])) {
      ++at_;
      digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
      digits();
    }
    token.kind = TokenKind::number;
    token.text = text_.substr(begin, at_ - begin);
    const char* const end = token.text.data() + token.text.size();
    const auto [stopped, problem] = std::from_chars(token.text.data(), end, token.number);
    if (problem != std::errc{} || stopped != end) {
      return filter_problem(token.column, fmt::format("'{}' is not a number", token.text), see_help);
    }
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0;
  std::size_t characters_ = 0;
};

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Expected<FilterNode> run() {
    if (peek().kind == TokenKind::end) return FilterNode{};
    auto node = joined(FilterNode::Kind::or_of);
    if (node && peek().kind != TokenKind::end) {
      return filter_problem(peek().column, fmt::format("expected && or || but found {}", shown(peek())), see_help);
    }
    return node;
  }

 private:
  [[nodiscard]] const Token& peek() const { return tokens_[at_]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool take_symbol(std::string_view symbol) {
    if (peek().kind != TokenKind::symbol || peek().text != symbol) return false;
    take();
    return true;
  }

  // `or` of `and`s, or `and` of unaries.
  Expected<FilterNode> joined(FilterNode::Kind kind) {
    const bool is_or = kind == FilterNode::Kind::or_of;
    auto first = is_or ? joined(FilterNode::Kind::and_of) : unary();
    if (!first) return first;
    FilterNode node{kind, {}, {}, peek().column};
    node.children.push_back(std::move(*first));
    while (take_symbol(is_or ? "||" : "&&")) {
      auto next = is_or ? joined(FilterNode::Kind::and_of) : unary();
      if (!next) return next;
      node.children.push_back(std::move(*next));
    }
    if (node.children.size() == 1) return FilterNode(std::move(node.children[0]));
    return node;
  }

  Expected<FilterNode> unary() {
    const Token start = peek();
    if (depth_ >= depth_limit) {
      return filter_problem(start.column,
                            fmt::format("parentheses and negations are nested more than {} deep", depth_limit),
                            "Write a flatter filter");
    }
    if (take_symbol("!")) {
      ++depth_;
      auto inner = unary();
      --depth_;
      if (!inner) return inner;
      FilterNode node{FilterNode::Kind::not_of, {}, {}, start.column};
      node.children.push_back(std::move(*inner));
      return node;
    }
    if (take_symbol("(")) {
      ++depth_;
      auto inner = joined(FilterNode::Kind::or_of);
      --depth_;
      if (!inner) return inner;
      if (!take_symbol(")")) {
        return filter_problem(peek().column, fmt::format("expected ) but found {}", shown(peek())),
                              fmt::format("Close the parenthesis of column {}", start.column));
      }
      return inner;
    }
    return comparison();
  }

  Expected<FilterNode> comparison() {
    const Token name = take();
    if (name.kind != TokenKind::word && name.kind != TokenKind::string) {
      return filter_problem(name.column, fmt::format("expected a name, ! or ( but found {}", shown(name)), see_help);
    }
    FilterNode node{FilterNode::Kind::comparison, {}, {}, name.column};
    FilterComparison& out = node.comparison;
    out.name = name.text;
    out.column = name.column;
    if (name.kind == TokenKind::word && name.text == "uses" && take_symbol("(")) {
      if (auto ok = uses(out); !ok) return fail(ok.error());
      node.kind = FilterNode::Kind::uses;
      return node;
    }
    const Token op = take();
    if (op.kind == TokenKind::word && op.text == "in") {
      if (auto ok = membership(out); !ok) return fail(ok.error());
      return node;
    }
    if (op.kind == TokenKind::word && op.text == "contains") {
      const Token text = take();
      if (text.kind != TokenKind::string) {
        return filter_problem(
            text.column, fmt::format("expected a text in quotes after contains but found {}", shown(text)), see_help);
      }
      out.op = FilterOp::contains;
      out.strings.push_back(text.text);
      return node;
    }
    static constexpr std::array<std::pair<std::string_view, FilterOp>, 6> ops{{{"==", FilterOp::equal},
                                                                               {"!=", FilterOp::not_equal},
                                                                               {"<", FilterOp::less},
                                                                               {"<=", FilterOp::less_equal},
                                                                               {">", FilterOp::greater},
                                                                               {">=", FilterOp::greater_equal}}};
    for (const auto& [symbol, value] : ops) {
      if (op.kind != TokenKind::symbol || op.text != symbol) continue;
      out.op = value;
      if (auto ok = add_value(out, op.text); !ok) return fail(ok.error());
      return node;
    }
    return filter_problem(
        op.column,
        fmt::format("expected ==, !=, <, <=, >, >=, in or contains after '{}' but found {}", name.text, shown(op)),
        see_help);
  }

  // What follows `uses(`.
  Expected<void> uses(FilterComparison& out) {
    constexpr const char* form = "Write uses(row, expert) or uses(row, {expert, expert}), for example uses(3, 17)";
    const auto whole = [&](const char* what) -> Expected<void> {
      const Token number = take();
      if (number.kind != TokenKind::number || number.number < 0 || number.number != std::floor(number.number)) {
        return filter_problem(number.column, fmt::format("expected the number of {} but found {}", what, shown(number)),
                              form);
      }
      out.numbers.push_back(number.number);
      return {};
    };
    if (auto ok = whole("a router row"); !ok) return ok;
    if (!take_symbol(",")) {
      return filter_problem(peek().column, fmt::format("expected , and an expert but found {}", shown(peek())), form);
    }
    const bool set = take_symbol("{");
    do {
      if (auto ok = whole("an expert"); !ok) return ok;
    } while (set && take_symbol(","));
    if (set && !take_symbol("}")) {
      return filter_problem(peek().column, fmt::format("expected , or }} but found {}", shown(peek())), form);
    }
    if (!take_symbol(")")) {
      return filter_problem(peek().column, fmt::format("expected ) but found {}", shown(peek())), form);
    }
    return {};
  }

  // What follows `in`: a range or a set.
  Expected<void> membership(FilterComparison& out) {
    if (take_symbol("{")) {
      out.op = FilterOp::in_set;
      do {
        if (auto ok = add_value(out, "in {"); !ok) return ok;
      } while (take_symbol(","));
      if (take_symbol("}")) return {};
      return filter_problem(peek().column, fmt::format("expected , or }} but found {}", shown(peek())), see_help);
    }
    out.op = FilterOp::in_range;
    if (peek().kind != TokenKind::number) {
      return filter_problem(
          peek().column, fmt::format("expected a range a..b or a set {{a, b}} but found {}", shown(peek())), see_help);
    }
    out.numbers.push_back(take().number);
    if (!take_symbol("..")) {
      return filter_problem(peek().column,
                            fmt::format("expected .. and the end of the range but found {}", shown(peek())), see_help);
    }
    if (peek().kind != TokenKind::number) {
      return filter_problem(peek().column, fmt::format("expected the end of the range but found {}", shown(peek())),
                            see_help);
    }
    out.numbers.push_back(take().number);
    return {};
  }

  Expected<void> add_value(FilterComparison& out, std::string_view after) {
    const Token value = take();
    if (value.kind == TokenKind::number && out.strings.empty()) {
      out.numbers.push_back(value.number);
    } else if (value.kind == TokenKind::string && out.numbers.empty()) {
      out.strings.push_back(value.text);
    } else if (value.kind == TokenKind::number || value.kind == TokenKind::string) {
      return filter_problem(value.column, "a set holds either numbers or texts, not both", see_help);
    } else {
      return filter_problem(
          value.column, fmt::format("expected a number or a text in quotes after {} but found {}", after, shown(value)),
          value.kind == TokenKind::word ? fmt::format("Write \"{}\" if a text is meant", value.text) : see_help);
    }
    return {};
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Unexpected filter_problem(std::size_t column, std::string what, std::string advice) {
  return fail(ErrorKind::usage, std::move(what), fmt::format("filter, column {}", column), std::move(advice));
}

Expected<FilterNode> parse_filter(std::string_view text) {
  if (text.size() > text_limit) {
    return filter_problem(1, fmt::format("the filter is longer than {} bytes", text_limit), "Write a shorter filter");
  }
  auto tokens = Lexer(text).run();
  if (!tokens) return fail(tokens.error());
  return Parser(std::move(*tokens)).run();
}

}  // namespace moescope
