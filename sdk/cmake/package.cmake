# Packages: three for Debian, cut by component. `pawl` is the program, `libpawl0` the shared libraries, `libpawl-dev` what a program is built
# with. Dependencies of the first two are read from the files (dpkg-shlibdeps); those of the third are what the static libraries link.
#
#     cmake --preset package && cmake --build build/package && cpack --preset package
#
# It takes Debian's packages file and dpkg-dev. Without a component (CUDA) nothing is packed: libcublas is not Debian's.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pawl)
set(CPACK_PACKAGE_VENDOR pawl)
set(CPACK_PACKAGE_CONTACT "the pawl authors <root@localhost>" CACHE STRING "who answers for the package: Name <address>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "durable workflow engine for agents")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_COMPONENTS_ALL cli lib dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package_pages.cmake)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)

set(CPACK_DEBIAN_CLI_PACKAGE_NAME pawl)
set(CPACK_DEBIAN_CLI_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_CLI_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CLI_PACKAGE_SUGGESTS libpawl-dev)
set(CPACK_COMPONENT_CLI_DESCRIPTION "The program: hosts workflows, starts, inspects, answers and resumes their runs, and
offers them to any model as MCP tools. A step that has happened stays happened:
runs survive kill -9, deploys and days of waiting, in one SQLite file.")

set(CPACK_DEBIAN_LIB_PACKAGE_NAME libpawl${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIB_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIB_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_LIB_DESCRIPTION "The shared libraries: the engine for programs that embed it, its network activities
(libpawl_net), and text to vectors with search (libpawl_embed).")
set(CPACK_DEBIAN_LIB_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(dev_depends "libpawl${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})" libc6-dev libsqlite3-dev libuv1-dev libxxhash-dev libsodium-dev
  libpcre2-dev)
if(PW_FIBER_LIBRARY)
  list(APPEND dev_depends libboost-context-dev)
endif()
if(PAWL_NET)
  list(APPEND dev_depends libcurl4-openssl-dev)
endif()
list(JOIN dev_depends ", " CPACK_DEBIAN_DEV_PACKAGE_DEPENDS)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libpawl-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS pawl)
set(CPACK_COMPONENT_DEV_DESCRIPTION "For development: headers, which are the manual, static libraries, pkg-config and
CMake files, and example programs.")
include(CPack)
