# What is installed where, and the Debian package (cpack -G DEB, or tests/check-package).
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
    set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "" FORCE) # all paths below are absolute
endif()
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON) # tests are not built for a package: target package-files
set(SYSTEM_UNITS /usr/lib/systemd/system)
set(PACKAGE_FILES ${CMAKE_SOURCE_DIR}/systemd/package)

install(TARGETS jobcloned RUNTIME DESTINATION /usr/sbin)
install(TARGETS jobclonectl emsim RUNTIME DESTINATION /usr/bin)

set(units ${CMAKE_SOURCE_DIR}/systemd)
install(FILES ${units}/jobcloned.service ${units}/jobcloned.socket ${units}/jobclone-owners.service
              ${units}/jobclone-owners.socket DESTINATION ${SYSTEM_UNITS})
install(FILES ${units}/jobclone.sysusers DESTINATION /usr/lib/sysusers.d RENAME jobclone.conf)
install(FILES ${units}/jobclone.tmpfiles DESTINATION /usr/lib/tmpfiles.d RENAME jobclone.conf)
install(FILES ${units}/jobclone.catalog DESTINATION /usr/lib/systemd/catalog)

# the file system that the daemon sees (RootDirectory= of its unit)
foreach(folder usr etc dev proc sys run run/jobclone tmp var var/tmp var/lib var/lib/jobclone home root)
    install(DIRECTORY DESTINATION /usr/lib/jobclone/root/${folder})
endforeach()
install(CODE "
    foreach(name bin sbin lib lib64)
        file(CREATE_LINK usr/\${name} \"\$ENV{DESTDIR}/usr/lib/jobclone/root/\${name}\" SYMBOLIC)
    endforeach()")

install(FILES ${CMAKE_SOURCE_DIR}/config/jobcloned.yaml DESTINATION /etc/jobclone)
install(DIRECTORY DESTINATION /etc/jobclone/plans.d)
install(FILES ${CMAKE_SOURCE_DIR}/config/bash-completion/jobclonectl
        DESTINATION /usr/share/bash-completion/completions)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/config/schema DESTINATION /usr/share/jobclone)
install(DIRECTORY ${units}/examples DESTINATION /usr/share/doc/jobclone)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/config/plans ${CMAKE_SOURCE_DIR}/config/plans.d
        DESTINATION /usr/share/doc/jobclone/examples)
install(FILES ${CMAKE_SOURCE_DIR}/config/emsim-inventory.yaml DESTINATION /usr/share/doc/jobclone/examples)
install(FILES ${CMAKE_SOURCE_DIR}/docs/operating.md ${CMAKE_SOURCE_DIR}/docs/plan.md ${CMAKE_SOURCE_DIR}/docs/errors.md
              ${CMAKE_SOURCE_DIR}/docs/control-api.md ${CMAKE_SOURCE_DIR}/docs/format.md DESTINATION /usr/share/doc/jobclone)
install(FILES ${PACKAGE_FILES}/copyright DESTINATION /usr/share/doc/jobclone)

# compressed as Debian wants it: without a time in them, so that builds are equal
function(install_compressed source folder name)
    set(packed ${CMAKE_BINARY_DIR}/packed/${name}.gz)
    add_custom_command(OUTPUT ${packed} DEPENDS ${source}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/packed
        COMMAND gzip -9nc ${source} > ${packed} VERBATIM)
    add_custom_target(packed-${name} DEPENDS ${packed})
    add_dependencies(package-files packed-${name})
    install(FILES ${packed} DESTINATION ${folder})
endfunction()
add_custom_target(package-files)
add_dependencies(package-files jobcloned jobclonectl emsim)
foreach(page jobcloned.8 jobclonectl.1 emsim.1 jobcloned.yaml.5 jobclone-plan.5)
    string(REGEX REPLACE ".*\\." "" section ${page})
    install_compressed(${CMAKE_SOURCE_DIR}/docs/man/${page} /usr/share/man/man${section} ${page})
endforeach()
install_compressed(${PACKAGE_FILES}/changelog /usr/share/doc/jobclone changelog)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME jobclone)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The jobclone authors <jobclone@users.noreply.github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "clone Veeam backup jobs in bulk, each at most once")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "jobcloned makes hundreds of clones of Veeam backup jobs from a plan,
through the REST interface of Enterprise Manager. Every clone is made at
most once, also after lost answers, crashes and power cuts, and each has
its outcome in a result.

Plans are dropped into a folder, run at given times, or come from
jobclonectl. emsim is a simulated Enterprise Manager to try plans out.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
    WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd (>= 252), passwd, ca-certificates, tzdata")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PACKAGE_FILES}/postinst ${PACKAGE_FILES}/prerm ${PACKAGE_FILES}/postrm
    ${PACKAGE_FILES}/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
