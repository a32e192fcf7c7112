# cmake -DINPUT=file -DOUTPUT=file.cpp -DSYMBOL=ns::name -DHEADER=x.hpp -P embed.cmake
# Writes a source that defines SYMBOL, declared in HEADER as `extern const std::string_view`, as the bytes of INPUT.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)" "\\\\x\\1" escaped "${bytes}")
# A literal of hex escapes has no ambiguous ends; lines of 64 bytes keep the compiler's line buffers small.
string(REGEX REPLACE "(\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..)" "\"\\1\"\n" lines "${escaped}")
string(REGEX REPLACE "\n([^\"]+)$" "\n\"\\1\"" lines "${lines}")
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
file(WRITE ${OUTPUT}
  "#include \"${HEADER}\"\n\nconst std::string_view ${SYMBOL}{\n${lines}, ${size}};\n")
