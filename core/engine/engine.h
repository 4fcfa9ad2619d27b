// Engine: runs a checkpoint and yields a trace file. Plain data in and out, so that it runs in process (CLI) or in the
// worker (desktop, JSON lines over a pipe). Called from one thread at a time; the callbacks come from that thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"

namespace moescope {

// One sequence to run. `text` and `spans` are only stored in the trace; the ids are what runs.
struct SequenceInput {
  std::vector<std::int32_t> ids;
  std::string text;                                            // may be empty
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;  // byte range of each token in `text`
  std::map<std::string, std::string> tags;                     // domain -> code
};

// What to store besides ids, weights, token ids, positions and (where there is a next token) the token's loss.
struct RecordOptions {
  bool gate_weights = true;
  bool router_logits = false;
  bool output_logits = false;
  bool token_loss = true;
  bool expert_output_norms = false;  // slot.output_norm: L2 norm of each chosen expert's output, before the gate weight
  std::uint32_t sampled_outputs = 0;  // per row and expert: this many outputs [hidden], kept in a file beside the trace
  [[nodiscard]] MOESCOPE_API std::uint64_t bytes_per_token(std::size_t rows, std::size_t k, std::size_t experts,
                                                           std::size_t vocabulary) const;
};

// The six hooks. `layer` is the absolute layer; -1 = every MoE layer.
struct ReplaceRouterHook {  // another rule on the model's own logits
  int layer = -1;
  std::string family = "softmax_top_k";  // see core/engine/routers.h: top_p, random, expert_choice, hash, …
  nlohmann::json params = nlohmann::json::object();
};
struct OverrideLogitsHook {  // adds to, masks or forces experts before selection
  int layer = -1;
  std::map<std::uint32_t, double> bias;  // expert -> added to its logit
  std::vector<std::uint32_t> mask;       // never chosen
  std::vector<std::uint32_t> force;      // always chosen, in this order, before the others
};
struct ExpertHook {  // changes what an expert computes
  enum class Kind : std::uint8_t { ablate, swap, scale };
  Kind kind = Kind::ablate;
  int layer = -1;
  std::uint32_t expert = 0;
  std::uint32_t other = 0;  // swap: the expert whose weights are used instead (both ways)
  double factor = 0.0;      // scale
};
struct CapacityHook {  // at most ceil(factor · tokens · k / E) tokens per expert and sequence, in token order
  int layer = -1;
  double factor = 1.0;
};
struct SkipLayerHook {  // the MoE block adds nothing
  int layer = 0;
};
using Hook = std::variant<ReplaceRouterHook, OverrideLogitsHook, ExpertHook, CapacityHook, SkipLayerHook>;
// The sixth hook, record, is RecordOptions: always on.

enum class ComputeType : std::uint8_t { float32, bfloat16 };
enum class Device : std::uint8_t { automatic, cpu, cuda };
[[nodiscard]] MOESCOPE_API const char* compute_type_name(ComputeType type);
[[nodiscard]] MOESCOPE_API const char* device_name(Device device);

struct RunRequest {
  std::string checkpoint;  // folder
  std::vector<SequenceInput> sequences;
  ComputeType compute_type = ComputeType::float32;
  Device device = Device::automatic;
  int threads = 0;  // 0 = engine_threads()
  // Bytes of memory (of the device) that weights may take beside the mapped files; 0 = what is free. A model that does
  // not fit is streamed, a layer and the experts that tokens chose at a time.
  std::uint64_t memory_limit = 0;
  RecordOptions record;
  std::vector<Hook> hooks;
  std::string out;     // trace file to write
  std::string name;    // of the trace
  std::string source;  // what was run, for the trace's provenance
};

struct RunSummary {
  std::string trace_file;
  std::uint64_t tokens = 0, sequences = 0;
  double seconds = 0;    // of the forward pass, without opening and writing
  double mean_loss = 0;  // natural log, over tokens that have a next token; NaN without
  std::string device, compute_type;
  std::uint64_t peak_bytes = 0;  // peak resident memory of the process
  std::vector<std::string> notes;
};

struct EngineInfo {
  std::string name;  // "LibTorch 1.13.1"
  std::vector<std::string> devices;
  std::string device;  // the one `automatic` picks
};

class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual Expected<EngineInfo> info() = 0;
  // Progress per layer and sequence; stops within 200 ms of a cancel and then leaves no file. Errors: input (checkpoint
  // or ids), device (memory, with what would fit), module (the worker died, with its reason), cancelled.
  [[nodiscard]] virtual Expected<RunSummary> run(const RunRequest& request, const WorkContext& work) = 0;
};

// JSON of requests and summaries, for the worker's pipe, scripts and "copy as command line".
[[nodiscard]] MOESCOPE_API nlohmann::json to_json(const RunRequest& request);
[[nodiscard]] MOESCOPE_API Expected<RunRequest> run_request_from_json(const nlohmann::json& json);
[[nodiscard]] MOESCOPE_API nlohmann::json to_json(const RunSummary& summary);
[[nodiscard]] MOESCOPE_API Expected<RunSummary> run_summary_from_json(const nlohmann::json& json);

// Loads the engine module into this process (CLI). Error (module) says where it was looked for and how to get it.
[[nodiscard]] MOESCOPE_API Expected<std::shared_ptr<Engine>> load_engine_module();
// An engine whose runs happen in a `moescope-engine` process, started on first use and again after it died.
[[nodiscard]] MOESCOPE_API std::shared_ptr<Engine> make_worker_engine();

}  // namespace moescope
