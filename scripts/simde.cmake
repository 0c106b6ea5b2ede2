# QuickJS's bundled WebAssembly interpreter (WAMR, in the crate v8x) fetches the header-only library simde
# by git when CMake configures it. Machines that reach only package registries use Debian's `libsimde-dev`
# instead: FetchContent takes a folder that it is given and then fetches nothing. Cargo hands this file to
# every CMake run of the build (`.cargo/config.toml`); where the headers are not found it changes nothing.
#
# CMake evaluates a toolchain file several times, before a compiler is known: plain lookups only.
foreach(prefix "$ENV{SIMDE_PREFIX}" /usr /usr/local /opt/homebrew)
  if(prefix AND EXISTS "${prefix}/include/simde/wasm/simd128.h")
    set(FETCHCONTENT_SOURCE_DIR_SIMDE "${prefix}/include" CACHE PATH "simde, from the system")
    break()
  endif()
endforeach()
