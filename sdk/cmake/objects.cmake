# pawl_objects(NAME source...): one folder's object library, compiled once for the libraries, the binary and the tests.
function(pawl_objects name)
  set(sources ${ARGN})
  if(NOT sources)
    set(empty ${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.c)
    file(WRITE ${empty} "typedef int ${name}_has_no_source_yet;\n")
    set(sources ${empty})
  endif()
  add_library(${name} OBJECT ${sources})
  target_link_libraries(${name} PRIVATE pawl_flags pawl_depends)
endfunction()

# pawl_objects_of_folder(NAME [EXCEPT file...]): as above, of all the folder's C files: a new file needs no line here.
function(pawl_objects_of_folder name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "EXCEPT")
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.c)
  list(REMOVE_ITEM sources ${arg_EXCEPT} "")
  pawl_objects(${name} ${sources})
endfunction()
