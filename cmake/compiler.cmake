# Warnings, sanitizers and link flags, as targets that the project's own code links and nobody else's sees.
add_library(vrun_options INTERFACE)
target_include_directories(vrun_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(vrun_options INTERFACE _GNU_SOURCE VRUN_VERSION="${PROJECT_VERSION}")

if(VRUN_DEVELOPER)
  target_compile_options(vrun_options INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Wcast-align
    -Woverloaded-virtual -Wimplicit-fallthrough)
endif()
if(VRUN_SANITIZE)
  target_compile_options(vrun_options INTERFACE -fsanitize=${VRUN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(vrun_options INTERFACE -fsanitize=${VRUN_SANITIZE})
endif()

# The two programs: libraries linked statically, because a dynamic start costs more than the sandbox does.
add_library(vrun_program INTERFACE)
target_link_libraries(vrun_program INTERFACE vrun_options)
target_compile_options(vrun_options INTERFACE -ffunction-sections -fdata-sections)
target_link_options(vrun_program INTERFACE -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
if(NOT VRUN_SANITIZE)
  target_compile_options(vrun_options INTERFACE $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2> -fstack-protector-strong)
  target_link_options(vrun_program INTERFACE $<IF:$<BOOL:${VRUN_STATIC}>,-static-pie,-static-libstdc++> -static-libgcc)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC 12 sees an overflow in its own operator+(const char*, std::string&&) once functions are inlined across files.
  target_link_options(vrun_program INTERFACE $<$<CONFIG:Release>:-Wno-stringop-overflow>)
endif()
