//! Gets what the real services need: Java, and the jars of Kafka and Apicurio through Maven.
//!
//! The jars are kept in `$NUBIUM_CACHE` (`~/.cache/nubium` by default) and fetched once.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

/// Names another version of Kafka for all brokers that the tests start.
pub const KAFKA: &str = "NUBIUM_TEST_KAFKA";
/// The version that tests are written for; its name stands in the list of artifacts.
const KAFKA_VERSION: &str = "4.1.1";
// Raise the last number when the list of artifacts changes: the name is the cache's key.
const KAFKA_LIST: u32 = 2;
const KAFKA_POM: &str = include_str!("../services/kafka.pom.xml");
const APICURIO: &str = "apicurio-registry-app-3.0.9";
const APICURIO_ARTIFACT: &str = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all";
const JAVA_AT_LEAST: u32 = 17;
const PACKAGES: [&str; 2] = ["default-jre-headless", "maven"];

/// Where the parts of the real services are.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The `java` program.
    pub java: PathBuf,
    /// The directory with Kafka's jars.
    pub kafka: PathBuf,
    /// Kafka's version, major and minor.
    pub version: (u32, u32),
    /// Apicurio's runnable jar.
    pub apicurio: PathBuf,
}

/// Returns the parts of the real services; fetches what is missing.
///
/// # Errors
/// Java 17 or Maven is missing and cannot be installed here (says what to install), or Maven
/// cannot fetch an artifact (shows its output).
pub fn ensure_installed() -> Result<Installed> {
    ensure_installed_with(&env::var(KAFKA).unwrap_or_else(|_| KAFKA_VERSION.into()))
}

/// Returns the parts of the real services with this version of Kafka.
///
/// # Errors
/// As [`ensure_installed`].
pub fn ensure_installed_with(version: &str) -> Result<Installed> {
    let cache = cache_dir()?;
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    let java = match find_java() {
        Ok(java) => java,
        Err(missing) => {
            install_packages(&missing)?;
            find_java()?
        }
    };
    let name = format!("kafka-{version}-{KAFKA_LIST}");
    let kafka = cached(&cache, &name, |dir| fetch_kafka(dir, version))?;
    let apicurio = cached(&cache, APICURIO, fetch_apicurio)?;
    let apicurio = apicurio.join(format!("{APICURIO}-runner.jar"));
    Ok(Installed { java, kafka, version: numbers(version)?, apicurio })
}

fn numbers(version: &str) -> Result<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("{version} is no version of Kafka"),
    }
}

/// Names the directory that keeps what was fetched: `NUBIUM_CACHE`, or `~/.cache/nubium`.
///
/// # Errors
/// Neither is set.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("NUBIUM_CACHE") {
        return Ok(dir.into());
    }
    let home = env::home_dir().context("no home directory: set NUBIUM_CACHE to a directory")?;
    Ok(home.join(".cache/nubium"))
}

fn find_java() -> Result<PathBuf> {
    let java = match env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin/java"),
        None => PathBuf::from("java"),
    };
    let found = run(Command::new(&java).arg("-version"))?;
    let text = String::from_utf8_lossy(&found.stderr);
    let version = java_version(&text).with_context(|| format!("no Java version in: {text}"))?;
    ensure!(version >= JAVA_AT_LEAST, "{} is Java {version}", java.display());
    Ok(java)
}

/// Reads the major version from `java -version`, also of the old form `1.8.0`.
fn java_version(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut numbers = quoted.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

/// Returns `{cache}/{name}`, filled by `fetch` if it is not there.
///
/// It is fetched beside its place and renamed, so that a fetch that was cut off leaves nothing
/// behind that looks complete, and two test runs may fetch at once.
fn cached(cache: &Path, name: &str, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = cache.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let work = tempfile::Builder::new().prefix("fetch-").tempdir_in(cache)?;
    fetch(work.path()).with_context(|| format!("cannot fetch {name}"))?;
    let work = work.keep();
    if fs::rename(&work, &place).is_err() && !place.is_dir() {
        bail!("cannot move {} to {}", work.display(), place.display());
    }
    let _ = fs::remove_dir_all(&work);
    Ok(place)
}

fn fetch_kafka(dir: &Path, version: &str) -> Result<()> {
    let pom = dir.join("pom.xml");
    fs::write(&pom, KAFKA_POM.replace(KAFKA_VERSION, version))?;
    let libs = format!("-DoutputDirectory={}", dir.display());
    maven(Command::new("mvn").arg("-f").arg(pom).args(["dependency:copy-dependencies", &libs]))?;
    if numbers(version)? < (4, 0) {
        // Those log through Log4j 1, whose binding they bring.
        fs::remove_file(dir.join("log4j-slf4j-impl-2.24.3.jar"))?;
    }
    Ok(())
}

fn fetch_apicurio(dir: &Path) -> Result<()> {
    let to = format!("-DoutputDirectory={}", dir.display());
    let artifact = format!("-Dartifact={APICURIO_ARTIFACT}");
    maven(Command::new("mvn").current_dir(dir).args(["dependency:copy", &artifact, &to]))?;
    let archive = dir.join(format!("{APICURIO}-all.tar.gz"));
    run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir))?;
    fs::remove_file(archive)?;
    let jar = dir.join(format!("{APICURIO}-runner.jar"));
    ensure!(jar.is_file(), "the archive holds no {}", jar.display());
    Ok(())
}

fn maven(command: &mut Command) -> Result<()> {
    if let Err(missing) = run(Command::new("mvn").arg("--version")) {
        install_packages(&missing)?;
    }
    run(command.args(["-q", "-B"])).map(drop)
}

/// Installs Java and Maven where that is possible without asking: as root, with apt.
/// Returns a Python with packages, by the name of the place that they are kept in.
///
/// # Errors
/// There is no Python 3 with `venv`, or pip cannot fetch them: says why.
pub fn python(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let place = cache_dir()?.join(name);
    let python = place.join("bin/python");
    if !place.join("complete").exists() {
        let mut venv = Command::new("python3");
        run(venv.args(["-m", "venv", "--clear"]).arg(&place))
            .context("Python 3 with venv is needed: `apt-get install python3-venv`")?;
        run(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(packages))?;
        fs::write(place.join("complete"), "")?;
    }
    Ok(python)
}

fn install_packages(missing: &anyhow::Error) -> Result<()> {
    let packages = PACKAGES.join(" ");
    let remedy = format!(
        "the tests on a real broker need Java {JAVA_AT_LEAST} or later and Maven: \
         `apt-get install {packages}`, or set JAVA_HOME"
    );
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || !Path::new("/etc/debian_version").exists() {
        bail!("{missing:#}; {remedy}");
    }
    let mut apt = Command::new("apt-get");
    apt.arg("update");
    run(&mut apt).with_context(|| remedy.clone())?;
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt.args(["install", "-y", "--no-install-recommends"]).args(PACKAGES);
    run(&mut apt).context(remedy).map(drop)
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or failed: shows what it printed.
pub fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{program} ended with {}: {out}{err}", output.status);
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_new_and_old_java_versions() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(java_version("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(java_version("java version \"1.8.0_292\""), Some(8));
        assert_eq!(java_version("command not found"), None);
    }

    #[test]
    fn a_fetch_that_fails_leaves_nothing_behind() {
        let cache = tempfile::tempdir().unwrap();
        let failed = cached(cache.path(), "thing", |dir| {
            fs::write(dir.join("half"), "x")?;
            bail!("cut off")
        });
        assert!(failed.unwrap_err().to_string().contains("thing"));
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
        let place = cached(cache.path(), "thing", |dir| Ok(fs::write(dir.join("all"), "x")?));
        assert!(place.unwrap().join("all").is_file());
    }
}
