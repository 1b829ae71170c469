# pawl_flags: how every file of ours is compiled and linked. Never part of what is installed.
add_library(pawl_flags INTERFACE)
target_include_directories(pawl_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(pawl_flags INTERFACE _GNU_SOURCE)
# A message says engine/turn.c, and never names a folder of the machine that built it; debuggers still find theirs. ccache may make paths relative.
file(RELATIVE_PATH pawl_source_from_build ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
set(pawl_prefix_maps "-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=")
if(pawl_source_from_build)
  string(REGEX REPLACE "/$" "" pawl_source_from_build "${pawl_source_from_build}")
  list(APPEND pawl_prefix_maps "-fmacro-prefix-map=${pawl_source_from_build}/=")
endif()
target_compile_options(pawl_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wundef -Wformat=2 -Wswitch-enum -Wcast-qual -Wnull-dereference -Wimplicit-fallthrough
  -fno-omit-frame-pointer -fno-common
  ${pawl_prefix_maps})

if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(pawl_flags INTERFACE
    -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Walloca -Wtrampolines)
elseif(CMAKE_C_COMPILER_ID MATCHES "Clang")
  target_compile_options(pawl_flags INTERFACE
    -Wcomma -Wassign-enum -Wconditional-uninitialized -Wloop-analysis -Wmissing-variable-declarations
    -Wno-gnu-zero-variadic-macro-arguments)
endif()
if(NOT PAWL_DEBUG_INFO)
  target_compile_options(pawl_flags INTERFACE -g0)
endif()
if(PAWL_WERROR)
  target_compile_options(pawl_flags INTERFACE -Werror)
endif()

# A build id names the code of a run in its journal; the engine reads it from the ELF note.
target_link_options(pawl_flags INTERFACE
  -Wl,--build-id=sha1 -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed)

if(PAWL_SANITIZE STREQUAL "asan")
  set(PAWL_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(PAWL_SANITIZE STREQUAL "tsan")
  set(PAWL_SANITIZE_FLAGS -fsanitize=thread)
elseif(PAWL_SANITIZE STREQUAL "off")
  set(PAWL_SANITIZE_FLAGS)
  target_compile_options(pawl_flags INTERFACE
    -fstack-protector-strong -fstack-clash-protection
    "$<$<CONFIG:Release>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
else()
  message(FATAL_ERROR "PAWL_SANITIZE is '${PAWL_SANITIZE}': asan, tsan or off")
endif()
target_compile_options(pawl_flags INTERFACE ${PAWL_SANITIZE_FLAGS})
target_link_options(pawl_flags INTERFACE ${PAWL_SANITIZE_FLAGS})

if(PAWL_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "PAWL_FUZZ needs clang: cmake -DCMAKE_C_COMPILER=clang")
  endif()
  target_compile_options(pawl_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(PAWL_BUG)
  target_compile_definitions(pawl_flags INTERFACE PAWL_BUG_${PAWL_BUG}=1)
  message(STATUS "this build has the seeded bug ${PAWL_BUG}")
endif()
