# SPDX-License-Identifier: BSD-3-Clause
# Compiler and linker flags of everything here, as interface targets:
#   vshm_flags         all code: warnings, sanitizers, the compiler belt
#   vshm_flags_hosted  all but the modules that need no operating system: stack protector
#   vshm_freestanding  the modules that need no operating system

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

add_library(vshm_flags INTERFACE)
target_compile_options(vshm_flags INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes
	# Shared memory is written by others behind the compiler's back and read as more than one type.
	-fno-strict-aliasing -fno-delete-null-pointer-checks)
target_link_options(vshm_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
if(VSHM_WERROR)
	target_compile_options(vshm_flags INTERFACE -Werror)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|i.86")
	target_compile_options(vshm_flags INTERFACE -fcf-protection)
endif()

add_library(vshm_flags_hosted INTERFACE)
target_link_libraries(vshm_flags_hosted INTERFACE vshm_flags)
target_compile_options(vshm_flags_hosted INTERFACE -fstack-protector-strong)
# Fortified calls need an optimising build, and hide from sanitizers what they look for.
if(NOT VSHM_SANITIZE)
	target_compile_options(vshm_flags_hosted INTERFACE
		$<$<CONFIG:RelWithDebInfo,Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:RelWithDebInfo,Release>:-D_FORTIFY_SOURCE=2>)
endif()

add_library(vshm_freestanding INTERFACE)
target_link_libraries(vshm_freestanding INTERFACE vshm_flags)
target_compile_options(vshm_freestanding INTERFACE -ffreestanding)
# -ffreestanding makes a call of every memcpy; GCC takes -fbuiltin as a cure, clang ignores it.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	target_compile_options(vshm_freestanding INTERFACE -fbuiltin)
endif()

if(VSHM_SANITIZE STREQUAL "address")
	set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(VSHM_SANITIZE STREQUAL "thread")
	set(sanitize -fsanitize=thread)
elseif(VSHM_SANITIZE STREQUAL "fuzz")
	set(sanitize -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
elseif(VSHM_SANITIZE)
	message(FATAL_ERROR "VSHM_SANITIZE is \"${VSHM_SANITIZE}\": must be address, thread, fuzz or empty")
endif()
if(VSHM_SANITIZE)
	target_compile_options(vshm_flags INTERFACE ${sanitize} -fno-omit-frame-pointer)
	target_link_options(vshm_flags INTERFACE ${sanitize})
endif()
