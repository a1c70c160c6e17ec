# What `cmake --install` (make install) puts where: the program, its man pages and completion, the public headers, all
# rooms but the command line as one archive, and a pkg-config file that finds the rest from its own place.
include(GNUInstallDirs)

set(objects)
foreach(room base kernels data model verify store engine difficulty train eval report study)
  if(TARGET strata_${room})
    list(APPEND objects $<TARGET_OBJECTS:strata_${room}>)
  endif()
endforeach()
add_library(strata_archive STATIC ${objects})
set_target_properties(strata_archive PROPERTIES OUTPUT_NAME strata LINKER_LANGUAGE C)

set(pages ${CMAKE_BINARY_DIR}/pages)
add_custom_command(
  OUTPUT ${pages}/strata.bash
  COMMAND strata help --man ${pages}/man1
  COMMAND strata help --completion > ${pages}/strata.bash
  DEPENDS strata VERBATIM)
add_custom_target(strata_pages ALL DEPENDS ${pages}/strata.bash)

file(RELATIVE_PATH STRATA_PC_INCLUDE ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(${CMAKE_SOURCE_DIR}/cmake/strata.pc.in ${CMAKE_BINARY_DIR}/strata.pc @ONLY)
file(WRITE ${CMAKE_BINARY_DIR}/VERSION "${STRATA_VERSION}\n")

install(TARGETS strata RUNTIME)
install(TARGETS strata_archive ARCHIVE)
install(DIRECTORY include/strata TYPE INCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/strata.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY ${pages}/man1 TYPE MAN)
install(FILES ${pages}/strata.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME strata)
install(FILES LICENSE ${CMAKE_BINARY_DIR}/VERSION TYPE DOC)
