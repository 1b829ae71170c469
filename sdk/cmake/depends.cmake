# What the core links: SQLite, libuv, xxHash, libsodium, PCRE2, uthash (headers only), threads, libm. Nothing else, and never a copy of ours.
# The Debian package of each is in tools/packages.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(PAWL_UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(PAWL_XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(PAWL_PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8>=10.40)
pkg_check_modules(PAWL_SODIUM REQUIRED IMPORTED_TARGET libsodium>=1.0.18)
find_path(PAWL_UTHASH_INCLUDE uthash.h REQUIRED)
mark_as_advanced(PAWL_UTHASH_INCLUDE)

if(PAWL_SQLITE_ROOT)
  find_path(PAWL_SQLITE_INCLUDE sqlite3.h PATHS ${PAWL_SQLITE_ROOT}/include NO_DEFAULT_PATH REQUIRED)
  find_library(PAWL_SQLITE_LIBRARY NAMES sqlite3 PATHS ${PAWL_SQLITE_ROOT}/lib NO_DEFAULT_PATH REQUIRED)
  mark_as_advanced(PAWL_SQLITE_INCLUDE PAWL_SQLITE_LIBRARY)
  set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON) # what is installed finds that copy, too
  add_library(pawl_sqlite INTERFACE)
  target_include_directories(pawl_sqlite SYSTEM INTERFACE ${PAWL_SQLITE_INCLUDE})
  target_link_libraries(pawl_sqlite INTERFACE ${PAWL_SQLITE_LIBRARY})
else()
  pkg_check_modules(PAWL_SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
  add_library(pawl_sqlite INTERFACE)
  target_link_libraries(pawl_sqlite INTERFACE PkgConfig::PAWL_SQLITE)
endif()

# One target for every folder: the arrows between folders are kept by tests/tidy, not by the linker.
add_library(pawl_depends INTERFACE)
target_include_directories(pawl_depends SYSTEM INTERFACE ${PAWL_UTHASH_INCLUDE})
target_link_libraries(pawl_depends INTERFACE
  pawl_sqlite PkgConfig::PAWL_UV PkgConfig::PAWL_XXHASH PkgConfig::PAWL_SODIUM PkgConfig::PAWL_PCRE2 Threads::Threads ${CMAKE_DL_LIBS} m)
