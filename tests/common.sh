# What tests/setup, tests/run and .ci/run share. They source it at the root of the repository.
# shellcheck shell=bash disable=SC2034

export IMGSPEC_TOOLS=${IMGSPEC_TOOLS:-$PWD/target/tools}
log=${IMGSPEC_LOG:-target/log}
skips=$log.skipped
failed=0
steps=()
# Seconds. A script that another one calls speaks first, so that the two do not say the same.
silence=${IMGSPEC_SILENCE:-15}
export IMGSPEC_SILENCE=$((silence - 3))
mkdir -p target "$IMGSPEC_TOOLS"

# What is not done is said at once, and again at the end.
skipped() { echo "skipped: $*" | tee -a "$skips"; }

say_skipped() {
    [ ! -s "$skips" ] || { echo "== skipped:" && sort -u "$skips" | sed 's/^skipped: /   /'; }
}

# Prints its input, and where that is silent for a while which test it is that runs: `follow NAME`.
follow() {
    local name=$1 start=$SECONDS line part='' status
    while true; do
        line=
        IFS= read -r -t "$silence" line
        status=$?
        part+=$line
        if [ "$status" = 0 ]; then
            printf '%s\n' "$part"
            case $part in
                *' Running '*) name=${part#* Running } name=${name% (*} start=$SECONDS ;;
            esac
            part=
        elif [ "$status" -gt 128 ]; then
            echo "   … $name: $((SECONDS - start)) s"
        else
            printf '%s' "$part"
            return
        fi
    done
}

# Keeps its input in a log, and prints the last line of it every 10 s: `follow_quietly LOG`.
follow_quietly() {
    local start=$SECONDS said=$SECONDS line last='' status
    while true; do
        line=
        IFS= read -r -t 10 line
        status=$?
        [ -z "$line" ] || { last=$line && printf '%s\n' "$line" >>"$1"; }
        [ "$status" = 0 ] || [ "$status" -gt 128 ] || return
        if [ $((SECONDS - said)) -ge 10 ]; then
            said=$SECONDS
            echo "   … $((SECONDS - start)) s: ${last:0:100}"
        fi
    done
}

step() { # NAME COMMAND…: runs it, says how long it took, goes on where it fails
    local name=$1 start=$SECONDS status=0
    shift
    "$@" </dev/null 2>&1 | follow "$name"
    status=${PIPESTATUS[0]}
    steps+=("== $name: $([ "$status" = 0 ] && echo ok || echo "FAILED ($status)"), $((SECONDS - start)) s")
    echo "${steps[-1]}"
    [ "$status" = 0 ] || failed=1
}
