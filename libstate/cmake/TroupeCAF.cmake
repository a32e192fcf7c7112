# Finds CAF >= 0.18.7 (0.18 and 1.x) wherever the user has it, else the one ./dev built in its cache.
# CAF 0.18's own version file demands an exact match, so the version is checked here.
include(CMakeFindDependencyMacro)
find_dependency(OpenSSL) # a static CAF::openssl names its targets
find_dependency(Threads)

if(DEFINED ENV{DEV_CACHE})
  set(troupe_cache $ENV{DEV_CACHE})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(troupe_cache $ENV{XDG_CACHE_HOME}/troupe)
else()
  set(troupe_cache $ENV{HOME}/.cache/troupe)
endif()

if(TROUPE_SANITIZE MATCHES "thread") # an uninstrumented CAF makes TSan report by the hundred
  set(troupe_caf_flavour tsan)
  find_package(CAF CONFIG QUIET COMPONENTS core
    PATHS ${troupe_cache}/caf-0.18.7-tsan NO_DEFAULT_PATH)
else()
  set(troupe_caf_flavour plain)
  find_package(CAF CONFIG QUIET COMPONENTS core)
  if(NOT CAF_FOUND OR CAF_VERSION VERSION_LESS 0.18.7)
    unset(CAF_DIR CACHE)
    unset(CAF_DIR)
    find_package(CAF CONFIG QUIET COMPONENTS core
      PATHS ${troupe_cache}/caf-0.18.7-plain NO_DEFAULT_PATH)
  endif()
endif()

if(NOT CAF_FOUND OR CAF_VERSION VERSION_LESS 0.18.7)
  message(FATAL_ERROR "Troupe needs CAF >= 0.18.7 (${troupe_caf_flavour}) and found none. "
    "Set CMAKE_PREFIX_PATH to yours, or let `./dev setup` build it.")
endif()
