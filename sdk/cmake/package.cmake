# Packages for Debian, cut by component. `pawl` is the program; `libpawl0.1`, `libpawl-net0.1` and `libpawl-embed0.1` are the shared libraries, each
# with what it needs and in a package named after its soname; `libpawl-dev` is what a program is built with. Dependencies are read from the files
# (dpkg-shlibdeps); those of the last are what the static libraries link. Debug information is beside them, in packages *-dbgsym (.ddeb).
#
#     cmake --preset package && cmake --build build/package && cpack --preset package
#
# It takes Debian's packages file and dpkg-dev. Who answers for a package: DEBFULLNAME and DEBEMAIL, as of Debian's own tools, or CPACK_PACKAGE_CONTACT.
# Without a component (CUDA) nothing is packed: libcublas is not Debian's.
set(contact "the pawl authors <pawl@packages.invalid>")
if(DEFINED ENV{DEBEMAIL} AND DEFINED ENV{DEBFULLNAME})
  set(contact "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pawl)
set(CPACK_PACKAGE_VENDOR pawl)
set(CPACK_PACKAGE_CONTACT "${contact}" CACHE STRING "who answers for the package: Name <address>")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package_pages.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package_repack.cmake)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_SOURCE pawl)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
if(PAWL_DEBUG_INFO)
  set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON) # which strips what is installed
else()
  set(CPACK_STRIP_FILES ON)
endif()

# package(COMPONENT NAME SECTION SUMMARY DESCRIPTION)
macro(package component name section summary description)
  string(TOUPPER ${component} upper)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${description}")
endmacro()

# library_package(COMPONENT NAME SUMMARY DESCRIPTION): a shared library; programs that link it will depend on this version or a later one.
macro(library_package component name summary description)
  package(${component} ${name}${PAWL_SOVERSION} libs "${summary}" "${description}")
  set(CPACK_DEBIAN_${upper}_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/debian/triggers)
  list(APPEND dev_depends "${name}${PAWL_SOVERSION} (= ${PROJECT_VERSION})")
endmacro()

set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
# Where dpkg-shlibdeps finds our own libraries, which are in other packages.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/sdk)

package(cli pawl utils "durable workflow engine for agents"
"The program: hosts workflows, starts, inspects, answers and resumes their
runs, and offers them to any model as MCP tools. A step that has happened
stays happened: runs survive kill -9, deploys and days of waiting, in one
SQLite file.")
set(CPACK_DEBIAN_CLI_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CLI_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_CLI_PACKAGE_SUGGESTS libpawl-dev)

set(dev_depends libc6-dev libsqlite3-dev libuv1-dev libxxhash-dev libsodium-dev libpcre2-dev pkg-config)
if(PW_FIBER_LIBRARY)
  list(APPEND dev_depends libboost-context-dev)
endif()
library_package(lib libpawl "durable workflow engine for agents (shared library)"
"The engine, for programs that embed it: a workflow step that has happened
stays happened, on one SQLite file.")
if(PAWL_NET)
  list(APPEND dev_depends libcurl4-openssl-dev)
  library_package(net libpawl-net "durable workflow engine for agents (network activities)"
"Activities for programs that embed the engine: http, calls of language
models, tools of MCP servers; and the workflow agent.")
  set(CPACK_DEBIAN_NET_PACKAGE_DEPENDS "libpawl${PAWL_SOVERSION} (= ${PROJECT_VERSION})")
  set(CPACK_DEBIAN_NET_PACKAGE_RECOMMENDS ca-certificates)
endif()
if(PAWL_EMBED)
  library_package(embed libpawl-embed "durable workflow engine for agents (embedding)"
"Text to vectors with a model of one's own, and exact search, for programs
that embed the engine.")
  set(CPACK_DEBIAN_EMBED_PACKAGE_DEPENDS "libpawl${PAWL_SOVERSION} (= ${PROJECT_VERSION})")
endif()

package(dev libpawl-dev libdevel "durable workflow engine for agents (development files)"
"Headers, which are the manual, static libraries, pkg-config and CMake files,
and example programs.")
list(JOIN dev_depends ", " CPACK_DEBIAN_DEV_PACKAGE_DEPENDS)
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS pawl)
include(CPack)
