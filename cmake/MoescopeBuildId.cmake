# The build id: bundled modules are built against core's C++ headers and refuse to load into another build.
# It is a hash of core's headers, the compiler and the C++ ABI flags, computed when the project is configured.
file(GLOB_RECURSE moescope_abi_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/*.h)
list(SORT moescope_abi_headers)
set(moescope_abi_text "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_CXX_STANDARD} ${MOESCOPE_SANITIZE}")
foreach(header IN LISTS moescope_abi_headers)
  file(SHA256 ${header} header_hash)
  string(APPEND moescope_abi_text ${header_hash})
endforeach()
string(SHA256 MOESCOPE_BUILD_ID "${moescope_abi_text}")
string(SUBSTRING ${MOESCOPE_BUILD_ID} 0 16 MOESCOPE_BUILD_ID)
configure_file(${CMAKE_SOURCE_DIR}/core/base/version.h.in ${CMAKE_BINARY_DIR}/generated/core/base/version.h @ONLY)
