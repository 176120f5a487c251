# cmake -DBUILD=… -DSOURCE=… -DWORK=… -DCOMPILER=… -P: installs BUILD under WORK, then configures, builds and runs this project with it.
file(REMOVE_RECURSE ${WORK})
foreach(step IN ITEMS
    "--install;${BUILD};--prefix;${WORK}/prefix"
    "-S;${SOURCE};-B;${WORK}/build;-G;Ninja;-DCMAKE_BUILD_TYPE=Release;-DCMAKE_PREFIX_PATH=${WORK}/prefix;-DCMAKE_CXX_COMPILER=${COMPILER}"
    "--build;${WORK}/build")
  execute_process(COMMAND ${CMAKE_COMMAND} ${step} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "cmake ${step}\n${output}")
  endif()
endforeach()
execute_process(COMMAND ${WORK}/build/consumer OUTPUT_VARIABLE output RESULT_VARIABLE result)
if(NOT result EQUAL 0 OR NOT output MATCHES "rms norm of a 2 x 3 frame")
  message(FATAL_ERROR "consumer ended with ${result} and printed: ${output}")
endif()
message("${output}")
