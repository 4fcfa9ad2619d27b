#include "core/base/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace moescope::commands_test {
namespace {

CommandSpec command(std::string id, std::string title, std::string shortcut = {}) {
  CommandSpec spec;
  spec.id = std::move(id);
  spec.title = std::move(title);
  spec.shortcut = std::move(shortcut);
  spec.arguments = {{"path", "a file"}};
  spec.run = [](const nlohmann::json& arguments) -> Expected<nlohmann::json> { return arguments; };
  return spec;
}

TEST(CommandRegistry, RefusesASecondCommandWithTheSameIdOrShortcut) {
  CommandRegistry registry;
  ASSERT_TRUE(registry.add(command("a", "A", "Ctrl+A")));
  EXPECT_EQ(registry.add(command("a", "Again")).error().kind, ErrorKind::internal);
  EXPECT_EQ(registry.add(command("b", "B", "Ctrl+A")).error().kind, ErrorKind::internal);
  EXPECT_TRUE(registry.add(command("c", "C")));
  EXPECT_TRUE(registry.add(command("d", "D"))) << "no shortcut clashes with no shortcut";
}

TEST(CommandRegistry, NamesAnUnknownCommandAndAnUnknownArgument) {
  CommandRegistry registry;
  ASSERT_TRUE(registry.add(command("source.open", "Open…")));
  const auto missing = registry.run("source.opem", {});
  EXPECT_EQ(missing.error().kind, ErrorKind::usage);
  EXPECT_EQ(missing.error().where, "source.opem");
  const auto argument = registry.run("source.open", {{"pth", "x"}});
  EXPECT_THAT(argument.error().what, testing::HasSubstr("pth"));
  EXPECT_THAT(argument.error().what, testing::HasSubstr("path"));
  EXPECT_EQ(registry.run("source.open", nlohmann::json::array()).error().kind, ErrorKind::usage);
  EXPECT_TRUE(registry.run("source.open", {{"path", "x"}}));
  EXPECT_TRUE(registry.run("source.open", nullptr));
}

TEST(CommandRegistry, DoesNotRunWhatIsUnavailable) {
  CommandRegistry registry;
  CommandSpec spec = command("edit.undo", "Undo");
  spec.unavailable = [] { return std::string("there is nothing to undo"); };
  ASSERT_TRUE(registry.add(spec));
  EXPECT_EQ(registry.run("edit.undo", {}).error().what, "there is nothing to undo");
}

TEST(CommandRegistry, TurnsExceptionsIntoErrors) {
  CommandRegistry registry;
  CommandSpec wrong_type = command("a", "A");
  wrong_type.run = [](const nlohmann::json& a) -> Expected<nlohmann::json> { return a.at("path").get<int>(); };
  CommandSpec throws = command("b", "B");
  throws.run = [](const nlohmann::json&) -> Expected<nlohmann::json> { throw std::logic_error("oops"); };
  ASSERT_TRUE(registry.add(wrong_type));
  ASSERT_TRUE(registry.add(throws));
  EXPECT_EQ(registry.run("a", {{"path", "text"}}).error().kind, ErrorKind::usage);
  EXPECT_EQ(registry.run("a", {}).error().kind, ErrorKind::usage);
  EXPECT_EQ(registry.run("b", {}).error().kind, ErrorKind::internal);
}

TEST(CommandRegistry, SearchPutsTitlesBeforeIdsAndNeedsEveryWord) {
  CommandRegistry registry;
  ASSERT_TRUE(registry.add(command("source.remove", "Remove source")));
  ASSERT_TRUE(registry.add(command("session.open", "Open session…")));
  ASSERT_TRUE(registry.add(command("source.open", "Open…")));
  const auto found = registry.search("open SESS");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]->id, "session.open");
  EXPECT_EQ(registry.search("remove").front()->id, "source.remove");
  EXPECT_EQ(registry.search("").size(), 3U);
  EXPECT_TRUE(registry.search("nothing like this").empty());
}

}  // namespace
}  // namespace moescope::commands_test
