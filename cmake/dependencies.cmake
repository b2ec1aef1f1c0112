# The libraries of docs/architecture.md. Static archives are asked for by name; where a distribution ships none, the
# shared library is taken.
function(vrun_find_library target name header)
  find_library(${target}_LIBRARY NAMES lib${name}.a ${name} REQUIRED)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(${target} INTERFACE ${${target}_LIBRARY})
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE})
endfunction()

vrun_find_library(dep_cap cap sys/capability.h)
vrun_find_library(dep_program_options boost_program_options boost/program_options.hpp)
vrun_find_library(dep_deflate deflate libdeflate.h)
find_path(NLOHMANN_JSON_INCLUDE nlohmann/json.hpp REQUIRED)
add_library(dep_json INTERFACE IMPORTED GLOBAL)
target_include_directories(dep_json SYSTEM INTERFACE ${NLOHMANN_JSON_INCLUDE})
find_path(TOMLPLUSPLUS_INCLUDE toml++/toml.h REQUIRED)
add_library(dep_toml INTERFACE IMPORTED GLOBAL)
target_include_directories(dep_toml SYSTEM INTERFACE ${TOMLPLUSPLUS_INCLUDE})
if(VRUN_DEVELOPER)
  vrun_find_library(dep_seccomp seccomp seccomp.h)  # a second opinion on the numbers of system calls
endif()
