# Run by CPack when packages are made: what it gets wrong and has no switch for is mended, and the package packed again.
#
# It writes a postinst and a postrm that call ldconfig into a package with a library: the trigger that Debian asks for does the same. A package of debug
# information has no licence and no changelog: Debian's share those of the package it is about. And its sums name files of the machine that built it.

# library(TREE)
function(library tree)
  file(REMOVE ${tree}/DEBIAN/postinst ${tree}/DEBIAN/postrm)
endfunction()

# symbols(TREE NAME): NAME-dbgsym.
function(symbols tree name)
  file(MAKE_DIRECTORY ${tree}/usr/share/doc)
  file(CREATE_LINK ${name} ${tree}/usr/share/doc/${name}-dbgsym SYMBOLIC)
  file(READ ${tree}/DEBIAN/md5sums sums)
  string(REGEX REPLACE "  [^\n]*/usr/lib/debug/" "  usr/lib/debug/" sums "${sums}")
  file(WRITE ${tree}/DEBIAN/md5sums "${sums}")
endfunction()

foreach(package IN LISTS CPACK_PACKAGE_FILES)
  get_filename_component(file ${package} NAME)
  if(file MATCHES "^(.*)-dbgsym_|^libpawl.*[0-9]_")
    set(name ${CMAKE_MATCH_1})
    set(tree ${package}.tree)
    file(REMOVE_RECURSE ${tree})
    execute_process(COMMAND dpkg-deb -R ${package} ${tree} COMMAND_ERROR_IS_FATAL ANY)
    if(name)
      symbols(${tree} ${name})
    else()
      library(${tree})
    endif()
    execute_process(COMMAND dpkg-deb --root-owner-group -Zxz -b ${tree} ${package} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    file(REMOVE_RECURSE ${tree})
  endif()
endforeach()
