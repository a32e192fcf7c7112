// The one main of every test executable. A property prints its seed; RC_PARAMS="seed=..." repeats
// it.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
