// Turns the growing containers of an unpickler into immutable values.
#include <fmt/format.h>

#include <bit>
#include <unordered_set>

#include "core/io/pickle_objects.h"

namespace moescope {
namespace {

using Kind = PickleItem::Kind;

bool is_container(Kind kind) {
  return kind == Kind::list || kind == Kind::tuple || kind == Kind::dict;
}

Unexpected bad_value(std::string what) {
  return fail(ErrorKind::input, std::move(what), {}, "Save plain data: tensors, dicts, lists, numbers and texts");
}

// A container on the way from the root to where the walk is.
struct Open {
  PickleItem item;
  std::size_t next = 0;  // child
};

// What is known of a container: not seen, open, or done with the size of all it holds.
struct Container {
  enum class State : std::uint8_t { unseen, open, done } state = State::unseen;
  std::size_t depth = 0, values = 0, text_bytes = 0;
  PickleValue value;
};

class Finisher {
 public:
  explicit Finisher(const PickleArena& arena) : arena_(arena), containers_(arena.lists.size()) {}

  Expected<PickleValue> run(PickleItem root) {
    if (is_container(root.kind)) {
      if (auto built = build(root); !built) return fail(built.error());
    }
    return value_of(root);
  }

 private:
  const PickleArena& arena_;
  std::vector<Container> containers_;

  // A walk in depth with its own stack, since the file decides how deep it goes.
  Expected<void> build(PickleItem root) {
    std::vector<Open> path{{root}};
    containers_[root.index()].state = Container::State::open;
    while (!path.empty()) {
      Open& at = path.back();
      const auto& children = arena_.lists[at.item.index()];
      if (at.next == children.size()) {
        if (auto done = close(at.item); !done) return done;
        path.pop_back();
        continue;
      }
      const PickleItem child = children[at.next++];
      if (!is_container(child.kind)) continue;
      Container& container = containers_[child.index()];
      if (container.state == Container::State::open) return bad_value("a container holds itself");
      if (container.state == Container::State::done) continue;
      container.state = Container::State::open;
      path.push_back({child});
      if (path.size() > pickle_limit::depth) return too_deep();
    }
    return {};
  }

  static Unexpected too_deep() {
    return bad_value(fmt::format("containers are nested more than {} deep", pickle_limit::depth));
  }

  Expected<void> close(PickleItem item) {
    Container& container = containers_[item.index()];
    const auto& children = arena_.lists[item.index()];
    container.depth = 1;
    for (const PickleItem& child : children) {
      ++container.values;
      if (child.kind == Kind::text || child.kind == Kind::bytes) {
        container.text_bytes += arena_.texts[child.index()].size();
      } else if (is_container(child.kind)) {
        const Container& inner = containers_[child.index()];
        container.depth = std::max(container.depth, inner.depth + 1);
        container.values += inner.values;
        container.text_bytes += inner.text_bytes;
      }
      // Each is far below the counters' range, and is checked before the next is added.
      if (container.depth > pickle_limit::depth) return too_deep();
      if (container.values > pickle_limit::values || container.text_bytes > pickle_limit::text_bytes) {
        return bad_value(fmt::format("the pickle unfolds to more than {} values or {} bytes of text",
                                     pickle_limit::values, pickle_limit::text_bytes));
      }
    }
    auto made = item.kind == Kind::dict ? make_dict(children) : make_list(children);
    if (!made) return fail(made.error());
    container.value = std::move(*made);
    container.state = Container::State::done;
    return {};
  }

  Expected<PickleValue> make_list(const std::vector<PickleItem>& children) const {
    const auto list = std::make_shared<PickleList>();
    list->reserve(children.size());
    for (const PickleItem& child : children) {
      auto value = value_of(child);
      if (!value) return value;
      list->push_back(std::move(*value));
    }
    return PickleValue{std::shared_ptr<const PickleList>(list)};
  }

  Expected<PickleValue> make_dict(const std::vector<PickleItem>& children) const {
    const auto dict = std::make_shared<PickleDict>();
    dict->reserve(children.size() / 2);
    std::unordered_set<std::string_view> texts;
    std::unordered_set<std::int64_t> integers;
    for (std::size_t i = 0; i + 1 < children.size(); i += 2) {
      const PickleItem& key = children[i];
      if (key.kind == Kind::list || key.kind == Kind::dict) return bad_value("a dict has a list or a dict as a key");
      if ((key.kind == Kind::text && !texts.insert(arena_.texts[key.index()]).second) ||
          (key.kind == Kind::integer && !integers.insert(key.number).second)) {
        return bad_value(fmt::format("a dict has the key '{}' twice", key.kind == Kind::text
                                                                          ? arena_.texts[key.index()].substr(0, 200)
                                                                          : std::to_string(key.number)));
      }
      auto name = value_of(key), value = value_of(children[i + 1]);
      if (!name) return name;
      if (!value) return value;
      dict->emplace_back(std::move(*name), std::move(*value));
    }
    return PickleValue{std::shared_ptr<const PickleDict>(dict)};
  }

  Expected<PickleValue> value_of(const PickleItem& item) const {
    switch (item.kind) {
      case Kind::none:
        return PickleValue{};
      case Kind::boolean:
        return PickleValue{item.number != 0};
      case Kind::integer:
        return PickleValue{item.number};
      case Kind::real:
        return PickleValue{std::bit_cast<double>(item.number)};
      case Kind::text:
        return PickleValue{arena_.texts[item.index()]};
      case Kind::bytes:
        return PickleValue{PickleBytes{arena_.texts[item.index()]}};
      case Kind::list:
      case Kind::tuple:
      case Kind::dict:
        return containers_[item.index()].value;
      case Kind::tensor:
        return PickleValue{arena_.tensors[item.index()]};
      case Kind::global: {
        const PickleGlobal& global = known_global(item.index());
        if (global.role != PickleGlobal::Role::dtype) {
          return bad_value(fmt::format("{}.{} stands among the data", global.module, global.name));
        }
        return PickleValue{fmt::format("{}.{}", global.module, global.name)};
      }
      case Kind::storage:
        return bad_value("a storage without a tensor stands among the data");
      case Kind::mark:
        break;
    }
    return bad_value("the pickle ends inside a container");
  }
};

}  // namespace

Expected<PickleValue> finished_value(const PickleArena& arena, PickleItem root) {
  return Finisher(arena).run(root);
}

}  // namespace moescope
