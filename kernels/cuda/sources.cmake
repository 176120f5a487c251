# The kernels, for nvcc and for the tests' CPU twin.
set(ORRERY_CUDA_KERNELS
  copy.cu
  elementwise.cu
  reduce.cu
)
