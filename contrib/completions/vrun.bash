# Completion of vrun for bash; made from policy/option_table.h.

_vrun_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# The command and its arguments, which begin at word $1.
_vrun_command() {
  if declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif [ "$COMP_CWORD" = "$1" ]; then
    mapfile -t COMPREPLY < <(compgen -c -- "$cur")
  else
    _vrun_files -f
  fi
}

_vrun() {
  local cur=${COMP_WORDS[COMP_CWORD]} option='' environment='' i
  # --option=value are three words, for "=" breaks words in bash.
  for ((i = 1; i < COMP_CWORD; ++i)); do
    option=''
    case ${COMP_WORDS[i]} in
    --)
      _vrun_command $((i + 1))
      return
      ;;
    --project | --ro | --rw | --ro-try | --hide | --tmpfs | --home | -C | --cwd | --net | --allow | --setenv | --keep-env | --profile | --wall | --cpu-time | --memory | --swap | --pids | --cpus | --fsize | --nofile | --stack | --tmp-size | --shm-size | --output-max | --cgroup | --report | --meta | --stdin | --stdout | --stderr | --get | --require | --without | --why)
      option=${COMP_WORDS[i]}
      [ "${COMP_WORDS[i + 1]}" != = ] || ((++i))
      ((++i))
      ;;
    -*) ;;
    *)
      if [ -n "$environment" ]; then
        _vrun_command "$i"
        return
      fi
      environment=${COMP_WORDS[i]}
      ;;
    esac
  done
  # Words are counted beyond this one when it is the value of an option.
  [ "$i" -gt "$COMP_CWORD" ] || option=''
  [ "$cur" != = ] || cur=''
  case $option in
    --project) _vrun_files -d ;;
    --ro) _vrun_files -f ;;
    --rw) _vrun_files -f ;;
    --ro-try) _vrun_files -f ;;
    --hide) _vrun_files -f ;;
    --tmpfs) _vrun_files -d ;;
    --home) _vrun_files -d ;;
    -C | --cwd) _vrun_files -d ;;
    --net) mapfile -t COMPREPLY < <(compgen -W 'none host' -- "$cur") ;;
    --allow) mapfile -t COMPREPLY < <(compgen -W 'io_uring keyring numa perf personality ptrace userns' -- "$cur") ;;
    --setenv) compopt -o nospace; mapfile -t COMPREPLY < <(compgen -e -S = -- "$cur") ;;
    --keep-env) mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
    --profile) mapfile -t COMPREPLY < <(compgen -W 'default ci grade install dev' -- "$cur") ;;
    --wall) COMPREPLY=() ;;
    --cpu-time) COMPREPLY=() ;;
    --memory) COMPREPLY=() ;;
    --swap) COMPREPLY=() ;;
    --pids) COMPREPLY=() ;;
    --cpus) COMPREPLY=() ;;
    --fsize) COMPREPLY=() ;;
    --nofile) COMPREPLY=() ;;
    --stack) COMPREPLY=() ;;
    --tmp-size) COMPREPLY=() ;;
    --shm-size) COMPREPLY=() ;;
    --output-max) COMPREPLY=() ;;
    --cgroup) _vrun_files -d ;;
    --report) _vrun_files -f ;;
    --meta) _vrun_files -f ;;
    --stdin) _vrun_files -f ;;
    --stdout) _vrun_files -f ;;
    --stderr) _vrun_files -f ;;
    --get) mapfile -t COMPREPLY < <(compgen -W '' -- "$cur") ;;
    --require) mapfile -t COMPREPLY < <(compgen -W 'pid-namespace network-namespace ipc-namespace uts-namespace cgroup-namespace namespace-limit unprivileged-user supplementary-groups capabilities bounding-set securebits no-new-privs set-user-id-refusal hidden-packages hidden-environments hidden-proc read-only-proc hidepid read-only read-only-below nosuid nodev seal memory-limits protected-files absent-names pinned-directories private-mounts same-source no-links read-back session death-signal undumpable forgotten-arguments session-keyring core-limit oom-score default-signals descriptors closed-streams stream-kinds pipes terminal variables seccomp landlock landlock-files' -- "$cur") ;;
    --without) mapfile -t COMPREPLY < <(compgen -W 'hidepid landlock landlock-files namespace-limit seccomp session-keyring' -- "$cur") ;;
    --why) mapfile -t COMPREPLY < <(compgen -W '' -- "$cur") ;;
    *)
      case $cur in
      -*) mapfile -t COMPREPLY < <(compgen -W '--project --no-project --project-ro --no-system --ro --rw --ro-try --hide --tmpfs --home --env-rw -C --cwd --net --allow --setenv --keep-env --clear-env --profile --profiles --wall --cpu-time --memory --swap --pids --cpus --fsize --nofile --stack --tmp-size --shm-size --output-max --require-limits --cgroup --report --meta --stdin --stdout --stderr --get --self-test --require --without --why --doctor --junit --json --explain --verbose --timing -h --help --version' -- "$cur") ;;
      *)
        if [ -n "$environment" ]; then
          _vrun_command "$COMP_CWORD"
        else
          _vrun_files -d
        fi
        ;;
      esac
      ;;
  esac
}

complete -F _vrun vrun
