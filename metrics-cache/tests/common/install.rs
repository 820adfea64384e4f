//! Gets what the tests run beside the cache: Debian's packages where they can be installed without
//! asking (as root), Python's and Go's client libraries through pip and go.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that the tests were written with.
const PYTHON_CLIENT: &str = "prometheus_client==0.26.0";

/// A Pushgateway of the version in `tests/clients/pushgateway/go.mod`.
const PUSHGATEWAY: &str = "github.com/prometheus/pushgateway";

/// Returns the path of a program, after installing its package if need be.
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let _one = lock();
    find(name).unwrap_or_else(|| {
        let missing = format!("this test runs `{name}`: install Debian's package {package}");
        let is_root = run(Command::new("id").arg("-u"), &missing).trim() == "0";
        assert!(is_root && Path::new("/etc/debian_version").exists(), "{missing}");
        run(Command::new("apt-get").args(["update", "-qq"]), &missing);
        let install = ["install", "-y", "-qq", "--no-install-recommends", package];
        // In run level 1 a package starts no service.
        let environment = [("DEBIAN_FRONTEND", "noninteractive"), ("RUNLEVEL", "1")];
        run(Command::new("apt-get").envs(environment).args(install), &missing);
        find(name).unwrap_or_else(|| panic!("{package} is installed and brought no `{name}`"))
    })
}

/// Returns a Python that has the Prometheus client library.
pub(crate) fn python() -> PathBuf {
    let _one = lock();
    let place = cache().join(PYTHON_CLIENT);
    let (python, complete) = (place.join("bin/python"), place.join("complete"));
    if !complete.exists() {
        let missing = "this test runs Python's client library: install python3-venv";
        let _ = fs::remove_dir_all(&place);
        run(Command::new("python3").args(["-m", "venv"]).arg(&place), missing);
        run(Command::new(&python).args(["-m", "pip", "install", "-q", PYTHON_CLIENT]), missing);
        fs::write(complete, "").expect("written");
    }
    python
}

/// Builds the program in `tests/clients/go` and returns its path.
pub(crate) fn go_client() -> PathBuf {
    let _one = lock();
    let (source, binary) = ("tests/clients/go", cache().join("go-client"));
    let missing = "this test runs Go's client library: install Go 1.23 or later";
    let mut go = Command::new("go");
    go.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(source));
    run(go.args(["build", "-buildvcs=false", "-o"]).arg(&binary).arg("."), missing);
    binary
}

/// Builds a Pushgateway that knows UTF-8 names, which Debian's does not, and returns its path.
pub(crate) fn newer_pushgateway() -> PathBuf {
    let _one = lock();
    let (source, binary) = ("tests/clients/pushgateway", cache().join("pushgateway"));
    let missing = "this test runs a newer Pushgateway: install Go 1.25 or later";
    let mut go = Command::new("go");
    go.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(source));
    run(go.args(["build", "-buildvcs=false", "-o"]).arg(&binary).arg(PUSHGATEWAY), missing);
    binary
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}; {command:?}: {error}"));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}; {command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// One installation at a time, over all test programs. Held until the file is dropped.
fn lock() -> File {
    let file = File::create(cache().join("install.lock")).expect("created");
    file.lock().expect("locked");
    file
}
