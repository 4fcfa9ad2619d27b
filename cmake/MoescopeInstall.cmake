# Install rules: programs in bin, modules in lib/moescope, resources in share/moescope.
include(GNUInstallDirs)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/resources/ DESTINATION ${CMAKE_INSTALL_DATADIR}/moescope)
