# Filled by the packaging work: headers, targets and find_package(orrery).
