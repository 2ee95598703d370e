#!/bin/sh
# Installs what running or testing Gatehouse needs and this machine lacks, through its package manager:
#   deps.sh postgresql [redis] [chromium] [nodejs] [compiler]
# Root installs directly, others through sudo; whoever may do neither is told what to ask an administrator for.
# Nothing is asked of the package manager when nothing is missing.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

have_postgresql() {
	[ -z "${GATEHOUSE_PG_BIN:-}" ] || return 0
	for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
		/opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb \
		/Applications/Postgres.app/Contents/Versions/*/bin/initdb "$(command -v initdb || true)"; do
		[ -x "$initdb" ] || continue
		major=$("$initdb" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
		[ "$major" -lt 15 ] || return 0
	done
	return 1
}
have_redis() { have redis-server; }
have_chromium() {
	have chromium || have chromium-browser || have google-chrome || have google-chrome-stable ||
		[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}
have_nodejs() {
	have node && have npm || return 1
	major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
	[ "$major" -ge 18 ]
}
# The C compiler that Go would call, with the headers of the C library.
have_compiler() {
	# shellcheck disable=SC2046 # it may come with flags
	printf '#include <stdlib.h>\n' | $(go env CC) -xc -E - >/dev/null 2>&1
}

missing() {
	for part in "$@"; do
		"have_$part" || printf '%s ' "$part"
	done
}

# The distribution's own version: the package without a number would also start a server of its own.
apt_postgresql() {
	versioned=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: \(postgresql-[0-9][0-9]*\)$/\1/p' | head -n 1)
	echo "${versioned:-postgresql}"
}
# Debian has npm in a package of its own, which does not go together with a Node.js from elsewhere.
apt_nodejs() {
	if have npm; then echo nodejs; else echo nodejs npm; fi
	echo ca-certificates
}
apt_packages() {
	for part in "$@"; do
		case $part in
		postgresql) apt_postgresql ;;
		redis) echo redis-server ;;
		chromium) echo chromium fonts-dejavu-core fonts-liberation ;;
		nodejs) apt_nodejs ;;
		compiler) echo gcc libc6-dev ;;
		esac
	done | tr '\n' ' '
}
brew_packages() {
	for part in "$@"; do
		case $part in
		postgresql) echo postgresql@17 ;;
		redis) echo redis ;;
		chromium) echo chromium ;;
		nodejs) echo node ;;
		compiler) echo gcc ;; # Apple's comes with xcode-select --install
		esac
	done | tr '\n' ' '
}

# Runs as root. Servers are installed as programs only: no cluster is made and no service started.
apt_install() {
	export DEBIAN_FRONTEND=noninteractive
	policy=/usr/sbin/policy-rc.d
	cluster=/etc/postgresql-common/createcluster.d/gatehouse.conf
	undo="rm -f $cluster"
	if [ ! -e "$policy" ]; then
		undo="$undo $policy"
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	trap "$undo" EXIT
	trap 'exit 1' INT TERM
	mkdir -p "${cluster%/*}"
	echo 'create_main_cluster = false' >"$cluster"
	apt-cache show postgresql >/dev/null 2>&1 || apt-get update -qq
	# shellcheck disable=SC2046 # a list of words
	apt-get install -y -qq --no-install-recommends $(apt_packages "$@") || {
		apt-get update -qq
		# shellcheck disable=SC2046
		apt-get install -y -qq --no-install-recommends $(apt_packages "$@")
	}
}

if [ "${1:-}" = --apt-as-root ]; then
	shift
	apt_install "$@"
	exit
fi

wanted=$(missing "$@")
[ -n "$wanted" ] || exit 0
echo "Missing here: $wanted" >&2

if have apt-get; then
	if [ "$(id -u)" = 0 ]; then
		sh "$0" --apt-as-root $wanted
	elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		sudo sh "$0" --apt-as-root $wanted
	else
		echo "You are neither root nor able to use sudo. Ask an administrator of this machine to run:" >&2
		echo "  apt-get update && apt-get install --no-install-recommends $(apt_packages $wanted)" >&2
		exit 1
	fi
elif have brew; then
	# shellcheck disable=SC2046
	brew install $(brew_packages $wanted)
else
	echo "This machine has neither apt-get nor brew: install $wanted(PostgreSQL 15, Node.js 18 or newer, a C compiler) its own way, then try again." >&2
	exit 1
fi

wanted=$(missing "$@")
[ -z "$wanted" ] || { echo "Still missing after the installation: $wanted" >&2; exit 1; }
