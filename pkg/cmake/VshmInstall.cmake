# SPDX-License-Identifier: BSD-3-Clause
# cmake --install: libraries, headers, pkg-config file, CMake package, vshmctl, man pages, licence.

include(CMakePackageConfigHelpers)

install(TARGETS vshm vshm_static EXPORT libvshm)
set(without)
if(TARGET vshm-discover)
	if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
		set_target_properties(vshm-discover PROPERTIES INSTALL_RPATH "$ORIGIN")
	endif()
	install(TARGETS vshm-discover vshm-discover-static EXPORT libvshm)
else()
	set(without PATTERN discover.h EXCLUDE)
endif()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/vshm ${CMAKE_BINARY_DIR}/include/vshm
	DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" ${without})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET vshmctl)
	# Found beside the library wherever the prefix is moved to.
	file(RELATIVE_PATH to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
	if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
		set_target_properties(vshmctl PROPERTIES INSTALL_RPATH "$ORIGIN/${to_lib}")
	endif()
	install(TARGETS vshmctl)
	# systemd wants whole paths, and the prefix can be another one when it is installed: cmake --install --prefix.
	set(service_in ${CMAKE_SOURCE_DIR}/pkg/systemd/vshm-serve.service.in)
	set(VSHM_BINDIR ${CMAKE_INSTALL_FULL_BINDIR})
	configure_file(${service_in} ${CMAKE_BINARY_DIR}/vshm-serve.service @ONLY)
	install(CODE "
		get_filename_component(VSHM_BINDIR \"${CMAKE_INSTALL_BINDIR}\" ABSOLUTE BASE_DIR \"\${CMAKE_INSTALL_PREFIX}\")
		set(service \"\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/vshm-serve.service\")
		message(STATUS \"Installing: \$ENV{DESTDIR}\${service}\")
		configure_file(\"${service_in}\" \"\$ENV{DESTDIR}\${service}\" @ONLY)
		list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${service}\")")
	install(FILES ${CMAKE_SOURCE_DIR}/pkg/udev/60-vshm.rules DESTINATION lib/udev/rules.d)
	install(FILES ${CMAKE_SOURCE_DIR}/pkg/sysusers/vshm.conf DESTINATION lib/sysusers.d)
	install(FILES ${CMAKE_SOURCE_DIR}/pkg/tmpfiles/vshm.conf DESTINATION lib/tmpfiles.d)
endif()

# pkg-config: paths relative to the file, so that an installed tree can be moved
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH VSHM_PC_PREFIX /prefix/${pkgconfig_dir} /prefix)
string(REGEX REPLACE "/$" "" VSHM_PC_PREFIX ${VSHM_PC_PREFIX})
configure_file(${CMAKE_SOURCE_DIR}/pkg/libvshm.pc.in ${CMAKE_BINARY_DIR}/libvshm.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/libvshm.pc DESTINATION ${pkgconfig_dir})
if(TARGET vshm-discover)
	configure_file(${CMAKE_SOURCE_DIR}/pkg/libvshm-discover.pc.in ${CMAKE_BINARY_DIR}/libvshm-discover.pc @ONLY)
	install(FILES ${CMAKE_BINARY_DIR}/libvshm-discover.pc DESTINATION ${pkgconfig_dir})
endif()

# find_package(libvshm): the targets libvshm::vshm and libvshm::vshm_static
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/libvshm)
configure_package_config_file(${CMAKE_SOURCE_DIR}/pkg/cmake/libvshmConfig.cmake.in
	${CMAKE_BINARY_DIR}/libvshmConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/libvshmConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/libvshmConfig.cmake ${CMAKE_BINARY_DIR}/libvshmConfigVersion.cmake
	DESTINATION ${package_dir})
install(EXPORT libvshm FILE libvshmTargets.cmake NAMESPACE libvshm:: DESTINATION ${package_dir})

# A page of section 3 is found under the name of each of its functions, too.
function(vshm_install_aliases page source)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
	file(STRINGS ${source} lines REGEX "^[a-z].*[ *]vshm_[a-z_]+\\(")
	foreach(line IN LISTS lines)
		string(REGEX MATCH "vshm_[a-z_]+\\(" name "${line}")
		string(REPLACE "(" "" name "${name}")
		if("${name}.3" STREQUAL page) # it has the page itself
			continue()
		endif()
		file(WRITE ${CMAKE_BINARY_DIR}/man/${name}.3 ".so man3/${page}\n")
		install(FILES ${CMAKE_BINARY_DIR}/man/${name}.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
	endforeach()
endfunction()

find_program(SCDOC scdoc)
if(SCDOC)
	set(pages)
	foreach(page vshmctl.1 vshm_discover.3 vshm_doorbell.3 vshm_pool.3 vshm_region.3 vshm_ring.3 vshm_server.3 vshm_wait.3 vshm_layout.5 vshm.7 vshm_ivshmem.7 vshm_server.7)
		set(source ${CMAKE_SOURCE_DIR}/pkg/man/${page}.scd)
		if(NOT EXISTS ${source} OR (page STREQUAL "vshm_discover.3" AND NOT TARGET vshm-discover))
			continue()
		endif()
		set(output ${CMAKE_BINARY_DIR}/man/${page})
		add_custom_command(OUTPUT ${output} DEPENDS ${source} VERBATIM
			COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
			COMMAND sh -c "\"$1\" < \"$2\" > \"$3\" || { rm -f \"$3\"; exit 1; }" sh ${SCDOC} ${source} ${output})
		list(APPEND pages ${output})
		string(REGEX MATCH "[0-9]$" section ${page})
		install(FILES ${output} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
		if(section EQUAL 3)
			vshm_install_aliases(${page} ${source})
		endif()
	endforeach()
	add_custom_target(man ALL DEPENDS ${pages})
endif()
