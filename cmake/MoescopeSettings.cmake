# Language, warnings, sanitizers, output folders and the optional speed-ups of the build.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# What is worth -O3 (the counting loops, the engine's kernels) asks for it by itself.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# Programs and modules land together, so that a program finds its modules beside it in the build tree.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

# ccache keeps results of compiles that use a precompiled header only when told that macros defined by it, and the macros
# of date and time (which nothing here uses), need not be looked at.
find_program(MOESCOPE_CCACHE ccache)
if(MOESCOPE_CCACHE)
  set(moescope_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${MOESCOPE_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${moescope_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${moescope_launcher})
endif()
if(NOT MOESCOPE_FAST_BUILD)
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
endif()
find_program(MOESCOPE_MOLD mold)
if(MOESCOPE_MOLD AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  add_link_options(-fuse-ld=mold)
endif()

add_library(moescope_settings INTERFACE)
target_include_directories(moescope_settings INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(moescope_settings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns of overlap, sizes and bounds inside std::string and std::vector when they are inlined at -O2. The
  # sanitizer builds check the same at run time.
  target_compile_options(moescope_settings INTERFACE -Wno-restrict -Wno-stringop-overflow
    -Wno-stringop-overread -Wno-array-bounds -Wno-free-nonheap-object)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND MOESCOPE_FAST_BUILD)
  # In a batch, a type of an unnamed namespace looks like one of a header.
  target_compile_options(moescope_settings INTERFACE -Wno-subobject-linkage)
endif()
if(MOESCOPE_WERROR)
  target_compile_options(moescope_settings INTERFACE -Werror)
endif()
if(MOESCOPE_SANITIZE)
  add_compile_options(-fsanitize=${MOESCOPE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MOESCOPE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumented code confuses GCC's flow analysis: it warns of the insides of std::regex and std::function.
    target_compile_options(moescope_settings INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()

# Half of a file's compile time is the standard library, fmt and the JSON header, so these are compiled once per target.
# Only headers from outside belong here: a change of ours must not recompile everything, and ccache shares the result
# between build folders. Files still include what they use.
set(MOESCOPE_COMMON_HEADERS
  <algorithm> <array> <atomic> <chrono> <cmath> <cstddef> <cstdint> <cstring> <deque> <filesystem> <fstream> <functional>
  <limits> <map> <memory> <mutex> <numeric> <optional> <set> <span> <string> <string_view> <system_error> <unordered_map>
  <utility> <variant> <vector> <fmt/format.h> <nlohmann/json.hpp> <tl/expected.hpp>)

# moescope_precompile(target header…): these headers are compiled once for the target.
function(moescope_precompile target)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND MOESCOPE_FAST_BUILD)
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # lets ccache see which precompiled header was used
  endif()
endfunction()

# moescope_reuse_precompiled(target other): uses the precompiled header of another target with the same compiler flags.
function(moescope_reuse_precompiled target other)
  target_precompile_headers(${target} REUSE_FROM ${other})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND MOESCOPE_FAST_BUILD)
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()

# moescope_batch(target size folder…): files of these folders (of the calling list) are compiled in batches of `size`,
# which halves the time again. Names in unnamed namespaces must therefore differ between files of a folder.
function(moescope_batch target size)
  if(NOT MOESCOPE_FAST_BUILD)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  foreach(folder IN LISTS ARGN)
    file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
    string(MAKE_C_IDENTIFIER ${folder} name)
    set(index 0)
    foreach(file IN LISTS files)
      cmake_path(NORMAL_PATH file)
      math(EXPR batch "${index} / ${size}")
      set_source_files_properties(${file} PROPERTIES UNITY_GROUP batch_${name}_${batch})
      math(EXPR index "${index} + 1")
    endforeach()
  endforeach()
endfunction()
