# What `cmake --install` (make install) puts where: the program, its man pages and completion, the public headers, the
# library (all rooms below its own, src/library) shared and static, and a pkg-config file that finds the rest from its own
# place.
include(GNUInstallDirs)

set(objects)
foreach(room base kernels data model verify store engine difficulty library)
  list(APPEND objects $<TARGET_OBJECTS:strata_${room}>)
endforeach()
add_library(strata_archive STATIC ${objects})
add_library(strata_shared SHARED ${objects})
set_target_properties(strata_archive strata_shared PROPERTIES OUTPUT_NAME strata LINKER_LANGUAGE C)
# The interface is numbered by SOVERSION: it rises when a symbol goes or changes, not when one is added.
set_target_properties(strata_shared PROPERTIES VERSION 0.${PROJECT_VERSION_MINOR}.${PROJECT_VERSION_PATCH} SOVERSION 0)
target_link_libraries(strata_shared PRIVATE $<TARGET_PROPERTY:strata_library,INTERFACE_LINK_LIBRARIES>)
target_link_options(strata_shared PRIVATE -Wl,--as-needed)

set(pages ${CMAKE_BINARY_DIR}/pages)
add_custom_command(
  OUTPUT ${pages}/strata.bash
  COMMAND strata help --man ${pages}/man1
  COMMAND strata help --completion > ${pages}/strata.bash
  DEPENDS strata VERBATIM)
add_custom_target(strata_pages ALL DEPENDS ${pages}/strata.bash)

file(RELATIVE_PATH STRATA_PC_INCLUDE ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
# What libstrata.a needs beside itself. Not Requires.private: the static closure of curl names libraries whose development
# files few machines have, and libstrata.a is linked with these libraries as they are.
set(private)
foreach(library JANSSON XXHASH PCRE2 UTF8PROC ZLIB ZSTD ZIP PNG JPEG WEBP SQLITE CURL)
  list(APPEND private ${${library}_LDFLAGS})
endforeach()
list(REMOVE_DUPLICATES private)
list(JOIN private " " STRATA_PC_PRIVATE)
string(APPEND STRATA_PC_PRIVATE " -lmpfr -lgmp -lm -pthread")
configure_file(${CMAKE_SOURCE_DIR}/cmake/strata.pc.in ${CMAKE_BINARY_DIR}/strata.pc @ONLY)
file(WRITE ${CMAKE_BINARY_DIR}/VERSION "${STRATA_VERSION}\n")

install(TARGETS strata RUNTIME)
install(TARGETS strata_archive ARCHIVE)
install(TARGETS strata_shared LIBRARY)
install(DIRECTORY include/strata TYPE INCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/strata.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY ${pages}/man1 TYPE MAN)
install(FILES ${pages}/strata.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME strata)
install(FILES LICENSE ${CMAKE_BINARY_DIR}/VERSION TYPE DOC)

# The Python wheel (pyproject.toml) takes the library alone, beside the modules of python/strata, under its soname.
if(SKBUILD)
  install(FILES $<TARGET_FILE:strata_shared> DESTINATION strata RENAME libstrata.so.0 COMPONENT python)
endif()
