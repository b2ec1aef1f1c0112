# Completion of vrun for fish; made from policy/option_table.h.

# The words before the cursor from the command on; fails while they are vrun's own.
function __vrun_command
    set -l words (commandline -opc)
    set -l environment
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case --
                set -l rest $words[(math $i + 1)..]
                string join -- \n $rest
                return 0
            case --project --ro --rw --ro-try --hide --tmpfs --home -C --cwd --net --allow --setenv --keep-env --profile --wall --cpu-time --memory --swap --pids --cpus --fsize --nofile --stack --tmp-size --shm-size --output-max --cgroup --report --meta --stdin --stdout --stderr --get --require --without --why
                set i (math $i + 1)
            case '-*'
            case '*'
                if test -n "$environment"
                    string join -- \n $words[$i..]
                    return 0
                end
                set environment $words[$i]
        end
        set i (math $i + 1)
    end
    return 1
end

complete -c vrun -f
complete -c vrun -n '__vrun_command >/dev/null' -a '(complete -C (string join " " -- (string escape -- (__vrun_command)) (commandline -ct)))'
complete -c vrun -n 'not __vrun_command >/dev/null' -a '(__fish_complete_directories)'
complete -c vrun -n 'not __vrun_command >/dev/null' -l project -x -a '(__fish_complete_directories)' -d 'the directory to work in, writable'
complete -c vrun -n 'not __vrun_command >/dev/null' -l no-project -f -d 'show no project: begin in an empty home directory'
complete -c vrun -n 'not __vrun_command >/dev/null' -l project-ro -f -d 'show the project read-only'
complete -c vrun -n 'not __vrun_command >/dev/null' -l no-system -f -d 'of the operating system show only what the environment\'s Python needs'
complete -c vrun -n 'not __vrun_command >/dev/null' -l ro -r -F -d 'show a path too, read-only'
complete -c vrun -n 'not __vrun_command >/dev/null' -l rw -r -F -d 'show a path too, writable'
complete -c vrun -n 'not __vrun_command >/dev/null' -l ro-try -r -F -d 'show a path too, read-only, when it exists'
complete -c vrun -n 'not __vrun_command >/dev/null' -l hide -r -F -d 'show nothing of what is at a path'
complete -c vrun -n 'not __vrun_command >/dev/null' -l tmpfs -x -a '(__fish_complete_directories)' -d 'put private memory in the place of a directory'
complete -c vrun -n 'not __vrun_command >/dev/null' -l home -x -a '(__fish_complete_directories)' -d 'show a directory, writable, as $HOME'
complete -c vrun -n 'not __vrun_command >/dev/null' -l env-rw -f -d 'let the command change the environment, as pip has to'
complete -c vrun -n 'not __vrun_command >/dev/null' -s C -l cwd -x -a '(__fish_complete_directories)' -d 'start the command in a directory'
complete -c vrun -n 'not __vrun_command >/dev/null' -l net -x -a 'none host' -d 'the network: none but loopback, or the host\'s'
complete -c vrun -n 'not __vrun_command >/dev/null' -l allow -x -a 'io_uring keyring numa perf personality ptrace userns' -d 'open a part of the kernel that is closed otherwise'
complete -c vrun -n 'not __vrun_command >/dev/null' -l setenv -x -a '(set -nx)=' -d 'set a variable'
complete -c vrun -n 'not __vrun_command >/dev/null' -l keep-env -x -a '(set -nx)' -d 'pass a variable of the caller on'
complete -c vrun -n 'not __vrun_command >/dev/null' -l clear-env -f -d 'pass no variable of the caller on that is not named'
complete -c vrun -n 'not __vrun_command >/dev/null' -l profile -x -a 'default ci grade install dev' -d 'begin with the policy of this name'
complete -c vrun -n 'not __vrun_command >/dev/null' -l profiles -f -d 'print the names of the profiles, and stop'
complete -c vrun -n 'not __vrun_command >/dev/null' -l wall -x -d 'end the run after a time'
complete -c vrun -n 'not __vrun_command >/dev/null' -l cpu-time -x -d 'end the run after as much processor time of all its processes'
complete -c vrun -n 'not __vrun_command >/dev/null' -l memory -x -d 'end the run when it uses more memory'
complete -c vrun -n 'not __vrun_command >/dev/null' -l swap -x -d 'what may be swapped out beyond --memory'
complete -c vrun -n 'not __vrun_command >/dev/null' -l pids -x -d 'the most processes and threads at once'
complete -c vrun -n 'not __vrun_command >/dev/null' -l cpus -x -d 'the most processors in use'
complete -c vrun -n 'not __vrun_command >/dev/null' -l fsize -x -d 'the largest file that may be written'
complete -c vrun -n 'not __vrun_command >/dev/null' -l nofile -x -d 'the most descriptors of a process'
complete -c vrun -n 'not __vrun_command >/dev/null' -l stack -x -d 'the largest stack'
complete -c vrun -n 'not __vrun_command >/dev/null' -l tmp-size -x -d 'the size of /tmp, /var/tmp and the home directory'
complete -c vrun -n 'not __vrun_command >/dev/null' -l shm-size -x -d 'the size of /dev/shm'
complete -c vrun -n 'not __vrun_command >/dev/null' -l output-max -x -d 'end the run when it writes more on its output'
complete -c vrun -n 'not __vrun_command >/dev/null' -l require-limits -f -d 'refuse limits that cannot be held in full here'
complete -c vrun -n 'not __vrun_command >/dev/null' -l cgroup -x -a '(__fish_complete_directories)' -d 'hold limits in a control group below this one; or own, systemd, none'
complete -c vrun -n 'not __vrun_command >/dev/null' -l report -r -F -d 'write what came of the run as JSON, to a file or fd:N'
complete -c vrun -n 'not __vrun_command >/dev/null' -l meta -r -F -d 'write what came of the run as lines of key:value'
complete -c vrun -n 'not __vrun_command >/dev/null' -l stdin -r -F -d 'read standard input from a file'
complete -c vrun -n 'not __vrun_command >/dev/null' -l stdout -r -F -d 'write standard output to a file'
complete -c vrun -n 'not __vrun_command >/dev/null' -l stderr -r -F -d 'write standard error to a file'
complete -c vrun -n 'not __vrun_command >/dev/null' -l get -x -a '' -d 'fetch results out of the run into a directory'
complete -c vrun -n 'not __vrun_command >/dev/null' -l self-test -f -d 'try in a run what its layers have to stop, and stop'
complete -c vrun -n 'not __vrun_command >/dev/null' -l require -x -a 'pid-namespace network-namespace ipc-namespace uts-namespace cgroup-namespace namespace-limit unprivileged-user supplementary-groups capabilities bounding-set securebits no-new-privs set-user-id-refusal hidden-packages hidden-environments hidden-proc read-only-proc hidepid read-only read-only-below nosuid nodev seal memory-limits protected-files absent-names pinned-directories private-mounts same-source no-links read-back session death-signal undumpable forgotten-arguments session-keyring core-limit oom-score default-signals descriptors closed-streams stream-kinds pipes terminal variables seccomp landlock landlock-files' -d 'refuse to run without a layer in full'
complete -c vrun -n 'not __vrun_command >/dev/null' -l without -x -a 'hidepid landlock landlock-files namespace-limit seccomp session-keyring' -d 'leave a layer out, and say so'
complete -c vrun -n 'not __vrun_command >/dev/null' -l why -x -a '' -d 'say whether a run could reach a path, HOST:PORT, a system call or a variable'
complete -c vrun -n 'not __vrun_command >/dev/null' -l doctor -f -d 'say whether this machine can have every layer, and what mends it'
complete -c vrun -n 'not __vrun_command >/dev/null' -l junit -f -d 'print what --self-test tried as XML for JUnit'
complete -c vrun -n 'not __vrun_command >/dev/null' -l json -f -d 'print JSON'
complete -c vrun -n 'not __vrun_command >/dev/null' -l explain -f -d 'print what would be carried out, and stop'
complete -c vrun -n 'not __vrun_command >/dev/null' -l verbose -f -d 'with --explain: print every step, layer and variable'
complete -c vrun -n 'not __vrun_command >/dev/null' -l timing -f -d 'say how long each step took'
complete -c vrun -n 'not __vrun_command >/dev/null' -s h -l help -f -d 'print a summary of the options and stop'
complete -c vrun -n 'not __vrun_command >/dev/null' -l version -f -d 'print the version and stop'
