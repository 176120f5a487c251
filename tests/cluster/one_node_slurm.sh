# A Slurm of one node for tests, in a folder of its own: munged, slurmctld and slurmd, started by slurm_start FOLDER CPUS and ended
# by slurm_stop. To be sourced. Needs root, and Debian's packages munge, slurmctld, slurmd and slurm-client.

slurm_missing() {
  local tool
  [[ $(id -u) == 0 ]] || { echo "root"; return; }
  for tool in munged mungekey slurmctld slurmd sbatch squeue scontrol; do
    command -v "$tool" >/dev/null || { echo "$tool"; return; }
  done
}

slurm_start() {
  local dir=$1 cpus=$2 host munge_user i
  host=$(hostname -s)
  # munged insists on folders that only root, or its own user, can write to.
  mkdir -p "$dir"/{munge,state,spool,log}
  chmod 755 "$dir" "$dir/munge"
  dd if=/dev/urandom of="$dir/munge/key" bs=128 count=1 status=none
  chmod 400 "$dir/munge/key"
  munged --foreground --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" \
    --seed-file="$dir/munge/seed" --log-file="$dir/log/munged" >"$dir/log/munged.out" 2>&1 &
  slurm_pids=($!)
  cat >"$dir/slurm.conf" <<CONF
ClusterName=orrery-test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
CONF
  export SLURM_CONF=$dir/slurm.conf
  for ((i = 0; i < 50; i++)); do [[ -S $dir/munge/socket ]] && break; sleep 0.1; done
  slurmctld -D -f "$SLURM_CONF" >"$dir/log/slurmctld.out" 2>&1 &
  slurm_pids+=($!)
  slurmd -D -f "$SLURM_CONF" -N "$host" >"$dir/log/slurmd.out" 2>&1 &
  slurm_pids+=($!)
  for ((i = 0; i < 300; i++)); do
    [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] && return 0
    sleep 0.1
  done
  echo "slurm_start: no node became idle in 30 s; logs in $dir/log" >&2
  return 1
}

slurm_stop() {
  local i
  for ((i = ${#slurm_pids[@]} - 1; i >= 0; i--)); do kill "${slurm_pids[i]}" 2>/dev/null; done
  wait "${slurm_pids[@]}" 2>/dev/null
  return 0
}
