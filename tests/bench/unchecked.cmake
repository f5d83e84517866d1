# SPDX-License-Identifier: BSD-3-Clause
# A second libvshm from the same sources and flags, with the checks taken out of a copy of src/ring: what they cost is the
# difference. It is a shared library too, so that calls cost the same; its symbols have a version of their own, so
# that each user gets the one that it was linked with. Nothing of it is ever installed.

set(place ${CMAKE_CURRENT_BINARY_DIR}/unchecked)
set(why "")
find_program(PATCH_PROGRAM patch)
mark_as_advanced(PATCH_PROGRAM)
if(VSHM_SANITIZE)
	set(why "sanitizer builds have no second library")
elseif(NOT PATCH_PROGRAM)
	set(why "patch was not there when this was built")
else()
	file(GLOB ring CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ring/*)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
		${ring} ${CMAKE_CURRENT_SOURCE_DIR}/unchecked.patch ${CMAKE_SOURCE_DIR}/pkg/libvshm.map)
	file(REMOVE_RECURSE ${place})
	file(COPY ${CMAKE_SOURCE_DIR}/src/ring DESTINATION ${place})
	execute_process(COMMAND ${PATCH_PROGRAM} -d ${place} -p1 --force --silent
		INPUT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/unchecked.patch RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
	if(failed)
		set(why "unchecked.patch does not apply to the sources of today")
	endif()
endif()

if(why)
	target_sources(vshm-bench PRIVATE absent_unchecked.c)
	set_property(SOURCE absent_unchecked.c PROPERTY COMPILE_DEFINITIONS "BENCH_WHY=\"${why}\"")
	return()
endif()

file(READ ${CMAKE_SOURCE_DIR}/pkg/libvshm.map map)
string(REGEX REPLACE "VSHM_[0-9.]+" "VSHM_UNCHECKED" map "${map}")
file(WRITE ${place}/unchecked.map "${map}")

# Every module as it is built for the real one; only what it finds under "ring/" is the copy.
set(objects)
file(GLOB modules RELATIVE ${CMAKE_SOURCE_DIR}/src LIST_DIRECTORIES true ${CMAKE_SOURCE_DIR}/src/*)
foreach(module IN LISTS modules)
	if(NOT TARGET vshm_${module})
		continue()
	endif()
	set(from ${CMAKE_SOURCE_DIR}/src/)
	if(module STREQUAL "ring")
		set(from ${place}/)
	endif()
	get_target_property(sources vshm_${module} SOURCES)
	list(TRANSFORM sources PREPEND ${from})
	add_library(unchecked_${module} OBJECT ${sources})
	foreach(property IN ITEMS INCLUDE_DIRECTORIES COMPILE_DEFINITIONS LINK_LIBRARIES)
		get_target_property(value vshm_${module} ${property})
		if(value)
			set_target_properties(unchecked_${module} PROPERTIES ${property} "${value}")
		endif()
	endforeach()
	target_include_directories(unchecked_${module} BEFORE PRIVATE ${place})
	list(APPEND objects $<TARGET_OBJECTS:unchecked_${module}>)
endforeach()

add_library(vshm_unchecked SHARED ${objects})
target_link_options(vshm_unchecked PRIVATE -Wl,--version-script=${place}/unchecked.map)
target_link_libraries(vshm_unchecked PRIVATE vshm_flags Threads::Threads)

# The candidates that use it, with what they need of the benchmark, so that nothing is shared but a table of functions.
add_library(bench_unchecked SHARED cand_vshm.c cand_vshm_stream.c child.c payload.c stats.c)
target_include_directories(bench_unchecked PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/include)
target_compile_definitions(bench_unchecked PRIVATE _GNU_SOURCE BENCH_UNCHECKED)
target_link_libraries(bench_unchecked PRIVATE vshm_unchecked vshm_flags)
target_link_libraries(vshm-bench PRIVATE bench_unchecked)
