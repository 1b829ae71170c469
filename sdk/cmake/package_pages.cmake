# Run by CPack when what is packed lies ready: a Debian package has its licence in Debian's form and a changelog, its manual pages are compressed,
# without a time in them, and its archives are without debug information.
set(debian ${CMAKE_CURRENT_LIST_DIR}/debian)

# documents(FOLDER): of one package, the folder where its licence lies.
function(documents folder)
  file(COPY_FILE ${debian}/copyright ${folder}/copyright)
  file(COPY_FILE ${debian}/changelog ${folder}/changelog)
  execute_process(COMMAND gzip -9nf ${folder}/changelog COMMAND_ERROR_IS_FATAL ANY)
  if(EXISTS ${folder}/LICENSE) # what the pages link to
    file(REMOVE ${folder}/LICENSE)
    file(CREATE_LINK copyright ${folder}/LICENSE SYMBOLIC)
  endif()
endfunction()

file(GLOB_RECURSE licences ${CPACK_TEMPORARY_DIRECTORY}/copyright)
foreach(licence IN LISTS licences)
  get_filename_component(folder ${licence} DIRECTORY)
  documents(${folder})
endforeach()

file(GLOB_RECURSE pages ${CPACK_TEMPORARY_DIRECTORY}/*.1)
list(FILTER pages INCLUDE REGEX "/man/man1/[^/]*$")
if(pages)
  execute_process(COMMAND gzip -9nf ${pages} COMMAND_ERROR_IS_FATAL ANY)
endif()

file(GLOB_RECURSE archives ${CPACK_TEMPORARY_DIRECTORY}/*.a)
if(archives)
  execute_process(COMMAND strip --strip-debug --enable-deterministic-archives ${archives} COMMAND_ERROR_IS_FATAL ANY)
endif()
