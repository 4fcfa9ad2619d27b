#include "core/model/tokenization/sentencepiece_module.h"

#include "core/base/dynamic_library.h"
#include "core/base/module_folders.h"
#include "core/base/version.h"

namespace moescope::tokenization {
namespace {

constexpr const char* module_file = "libmoescope_sentencepiece.so";
constexpr const char* install_advice = "Install the whole program, or build it with libsentencepiece-dev present";

using Create = SentencePieceModel* (*)(const char* model, std::size_t size, std::string* problem);

Expected<Create> load_module() {
  const auto file = find_module(module_file, install_advice);
  if (!file) return fail(file.error());
  const auto library = DynamicLibrary::load(*file);
  if (!library) return fail(ErrorKind::module, library.error().what, file->string(), install_advice);
  const auto build_id = reinterpret_cast<const char* (*)()>(library->symbol("moescope_sentencepiece_build_id"));
  const auto create = reinterpret_cast<Create>(library->symbol("moescope_sentencepiece_create"));
  if (build_id == nullptr || create == nullptr || std::string(build_id()) != build_id_text) {
    return fail(ErrorKind::module, "the SentencePiece module belongs to another build", file->string(),
                "Install the module of this version");
  }
  return create;
}

}  // namespace

Expected<std::unique_ptr<const SentencePieceModel>> load_sentencepiece_model(std::string_view model) {
  static const Expected<Create> create = load_module();
  if (!create) return fail(create.error());
  std::string problem;
  std::unique_ptr<const SentencePieceModel> out((*create)(model.data(), model.size(), &problem));
  if (out) return out;
  return fail(ErrorKind::input, "the SentencePiece model cannot be used: " + problem, {},
              "Copy or download the file again");
}

}  // namespace moescope::tokenization
