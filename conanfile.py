from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

import os
import re


class TroupeConan(ConanFile):
    """The libraries, and with -o "&:apps=True" the node."""

    name = "troupe"
    description = "An actor runtime for the state of AI agents"
    license = "Apache-2.0"
    package_type = "static-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"apps": [True, False]}
    default_options = {"apps": False}
    exports_sources = "CMakeLists.txt", "LICENSE", "libstate/*", "persistence/*", "actors/*", "apps/*"

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder, "CMakeLists.txt"))
        self.version = re.search(r"project\(troupe VERSION ([0-9.]+)", text).group(1)

    def requirements(self):
        self.requires("caf/1.0.2", transitive_headers=True)
        self.requires("tl-expected/20190710", transitive_headers=True)
        for name in ("lmdb/0.9.32", "msgpack-cxx/4.1.3", "openssl/[>=3 <4]", "simdjson/3.10.1", "spdlog/1.14.1", "zstd/1.5.6"):
            self.requires(name)
        if self.options.apps:
            for name in ("boost/1.85.0", "cli11/2.4.2", "libcurl/8.10.1", "tomlplusplus/3.4.0"):
                self.requires(name)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.variables["TROUPE_BUILD_APPS"] = bool(self.options.apps)
        toolchain.variables["TROUPE_BUILD_TESTS"] = False
        toolchain.variables["TROUPE_INSTALL"] = True
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        self.cpp_info.set_property("cmake_find_mode", "none")  # its own troupeConfig.cmake
        self.cpp_info.builddirs.append(os.path.join("lib", "cmake", "troupe"))
