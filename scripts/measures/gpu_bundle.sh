#!/usr/bin/env bash
# Packs what a bare GPU machine needs into out/gpu: orrery-train, the device's tests and benches, their libraries
# gpu_bundle [ARCHITECTURES]: for nvcc, 90-real by default. Needs nvcc, no GPU. What the card's machine must have: the
# driver, and the toolkit's libcublasLt. Then, there: bash out/gpu/gpu.sh MINUTES CONFIG.toml [CODEC_FOLDER],
# bash out/gpu/gpu_generate.sh or bash out/gpu/gpu_compare.sh
set -euo pipefail
build=build-gpu
cmake -G Ninja -B $build -DCMAKE_BUILD_TYPE=Release -DORRERY_CUDA=ON -DORRERY_BENCH=ON -DORRERY_VIEWER=OFF \
  -DCMAKE_CUDA_ARCHITECTURES="${1:-90-real}" >/dev/null
${ORRERY_NINJA:-ninja -C} $build orrery_train tests_cuda device_bench gpu_training_step gpu_generate
rm -rf out/gpu && mkdir -p out/gpu/bin out/gpu/lib
cp $build/apps/orrery/orrery-train $build/tests/kernels/cuda/tests_cuda $build/tests/kernels/cuda/device_bench \
  $build/tests/bench/gpu_training_step $build/tests/bench/gpu_generate out/gpu/bin/
strip --strip-debug out/gpu/bin/*
# All shared libraries but those that belong to the machine: the C and C++ libraries, the driver and the toolkit.
ldd out/gpu/bin/* | awk '$3 ~ /^\// {print $3}' | sort -u |
  grep -vE '/(libc|libm|libstdc\+\+|libgcc_s|libdl|librt|libpthread|ld-linux[^/]*|libcuda|libcudart|libcublas|libcublasLt|libnvidia[^/]*)\.so' |
  xargs -I{} cp -L {} out/gpu/lib/
cp -r tests/fixtures/deepseek_v3 tests/fixtures/deepseek_v4 out/gpu/
cp scripts/measures/gpu.sh scripts/measures/gpu_generate.sh scripts/measures/gpu_compare.sh tests/bench/gpu_training_step.py tests/bench/width_2048.json out/gpu/
cp models/orrery-64/config.json out/gpu/orrery_64.json
du -sh out/gpu
