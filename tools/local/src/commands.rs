//! What the binary of every service answers, as one table of tests that each service fills in.
//!
//! A service names its files, its topics and what it prints as a [`Service`], and
//! [`command_tests!`](crate::command_tests) makes the tests. What it alone does is tested beside it,
//! on a [`Place`].

use std::io;

use crate::program::{Program, Said, row, said};
use crate::{Answer, Api, Broker, Registry};

/// The words that every service's help has.
const WORDS: [&str; 8] =
    ["run", "check", "config", "completions", "man", "help", "Exit codes", "Examples"];
/// The settings that are missing where nothing is set.
const NEEDED: [&str; 2] = ["NU_KAFKA_CLUSTERS_CONFIGS_JSON", "NU_APP_NAME"];

/// A cell of a table: a word of its line, and what the line says too.
pub type Row = (&'static str, &'static str);

/// Says what is a service's own about its commands.
#[derive(Debug)]
pub struct Service {
    /// The binary.
    pub program: Program,
    /// Its name.
    pub name: &'static str,
    /// The app that the settings name.
    pub app: &'static str,
    /// The variable that names the service's file.
    pub variable: &'static str,
    /// The files of a directory with which all is well, the settings first. `{api}` stands for the
    /// address of an API that answers 204.
    pub files: &'static [(&'static str, &'static str)],
    /// Settings besides. `{directory}` stands for the files' directory.
    pub settings: &'static [(&'static str, &'static str)],
    /// A text in the files or the settings that nothing may print.
    pub secret: &'static str,
    /// The commands of its own that read its settings.
    pub commands: &'static [&'static str],
    /// A file of settings with several mistakes, and what has to be named.
    pub wrong: (&'static str, &'static [&'static str]),
    /// A file and a text that is no program, where there are programs.
    pub wrong_program: Option<(&'static str, &'static str)>,
    /// Lines of `config`.
    pub shown: &'static [Row],
    /// Lines of `check` on a cluster without topics and schemas.
    pub missing: &'static [Row],
    /// Topics, and the schemas of subjects, with which all is well.
    pub topics: &'static [(&'static str, i32)],
    /// Subjects and their schemas.
    pub subjects: &'static [(&'static str, &'static str)],
    /// Lines of `check` then.
    pub well: &'static [Row],
}

/// A service's directory, and what its settings name.
pub struct Place {
    service: &'static Service,
    directory: tempfile::TempDir,
    /// The cluster.
    pub broker: Broker,
    /// The registry; another one may be put in its place.
    pub registry: Registry,
    /// The API at `{api}`.
    pub api: Api,
}

impl Place {
    /// Makes the directory, and starts what the settings name.
    ///
    /// # Panics
    /// The system refuses a directory or a port.
    #[must_use]
    pub fn new(service: &'static Service) -> Self {
        let place = Self {
            service,
            directory: tempfile::tempdir().expect("directory"),
            broker: Broker::start().expect("broker"),
            registry: Registry::start().expect("registry"),
            api: Api::start(|_, _| Answer::status(204)).expect("API"),
        };
        service.files.iter().for_each(|(name, text)| place.write(name, text));
        place
    }

    /// Writes a file, `{api}` replaced.
    ///
    /// # Panics
    /// The system refuses.
    pub fn write(&self, name: &str, text: &str) {
        let text = text.replace("{api}", &self.api.url("/in"));
        std::fs::write(self.directory.path().join(name), text).expect("file");
    }

    /// Writes the service's settings.
    ///
    /// # Panics
    /// The system refuses.
    pub fn write_settings(&self, text: &str) {
        self.write(self.service.files[0].0, text);
    }

    /// Creates the topics and registers the schemas with which all is well.
    ///
    /// # Panics
    /// Broker or registry refuse.
    pub fn complete(&self) {
        for (topic, partitions) in self.service.topics {
            self.broker.create_topic(topic, *partitions).expect("topic");
        }
        for (subject, schema) in self.service.subjects {
            self.registry.register(subject, schema).expect("schema");
        }
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// The binary does not start.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        let service = self.service;
        let mut command =
            service.program.command_on(&self.broker, &self.registry, service.app, arguments);
        command.env(service.variable, self.directory.path().join(service.files[0].0));
        let directory = self.directory.path().display().to_string();
        for (name, value) in service.settings {
            command.env(name, value.replace("{directory}", &directory));
        }
        said(&mut command).expect("the binary starts")
    }
}

impl Service {
    fn ask(&self, arguments: &[&str]) -> Said {
        self.program.ask(arguments).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Checks what help, version, completions and man pages say.
    ///
    /// # Panics
    /// Something is missing, as in the other tests.
    pub fn explains_itself(&self) {
        let (code, text) = self.ask(&["--help"]);
        assert_eq!(code, 0, "{text}");
        for word in WORDS.iter().chain(self.commands) {
            assert!(text.contains(word), "no {word} in\n{text}");
        }
        let (code, text) = self.ask(&["--version"]);
        assert_eq!((code, text.split(' ').next()), (0, Some(self.name)), "{text}");
        for arguments in [&["no-such-command"][..], &["check", "--no-such-option"], &[]] {
            let (code, text) = self.ask(arguments);
            assert_eq!(code, 2, "{arguments:?}: {text}");
        }
        for shell in ["bash", "zsh", "fish"] {
            let (code, script) = self.ask(&["completions", shell]);
            assert_eq!(code, 0, "{script}");
            assert!(script.contains(self.name), "{script}");
        }
        self.writes_man_pages().unwrap_or_else(|error| panic!("{error}"));
    }

    fn writes_man_pages(&self) -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (code, text) = self.ask(&["man", &directory.path().display().to_string()]);
        assert_eq!(code, 0, "{text}");
        let page = std::fs::read_to_string(directory.path().join(format!("{}.1", self.name)))?;
        assert!(page.contains("Exit codes"), "{page}");
        Ok(())
    }

    /// Checks that wrong settings are named, all of them, before anything is asked.
    ///
    /// # Panics
    /// Something is missing.
    pub fn names_all_bad_settings_at_once(&'static self) {
        let place = Place::new(self);
        place.write_settings(self.wrong.0);
        for command in ["run", "check", "config"].iter().chain(self.commands) {
            let (code, text) = place.run(&[command]);
            assert_eq!(code, 2, "{command}: {text}");
            for problem in self.wrong.1 {
                assert!(text.contains(problem), "{command} does not name {problem}:\n{text}");
            }
        }
        assert!(place.registry.requests().is_empty(), "{:?}", place.registry.requests());
        assert!(place.api.requests().is_empty(), "{:?}", place.api.requests());
        let (code, text) = self.ask(&["run"]);
        assert_eq!(code, 2, "{text}");
        for problem in NEEDED.iter().chain([&self.variable]) {
            assert!(text.contains(problem), "no {problem} in\n{text}");
        }
    }

    /// Checks what `config` prints, and that it asks nobody and gives no secret away.
    ///
    /// # Panics
    /// Something is missing.
    pub fn shows_what_is_in_force_without_secrets(&'static self) {
        let place = Place::new(self);
        let (code, text) = place.run(&["config"]);
        assert_eq!(code, 0, "{text}");
        self.holds_rows(&text, self.shown);
        self.holds_rows(&text, &[("NU_APP_NAME", self.app)]);
        assert!(place.registry.requests().is_empty(), "{:?}", place.registry.requests());
    }

    /// Checks that `check` names what is missing, then that all is well, and changes nothing.
    ///
    /// # Panics
    /// Something is missing.
    pub fn checks_without_changing_anything(&'static self) {
        let place = Place::new(self);
        let (code, text) = place.run(&["check"]);
        assert_eq!(code, 1, "{text}");
        self.holds_rows(&text, self.missing);
        place.complete();
        let registered = changes(&place.registry);
        let (code, text) = place.run(&["check"]);
        assert_eq!(code, 0, "{text}");
        self.holds_rows(&text, self.well);
        assert_eq!(changes(&place.registry), registered, "check changes nothing");
        assert!(place.api.requests().iter().all(|request| request.method == "OPTIONS"));
    }

    /// Checks that a program that is wrong is shown with its line, and is a wrong setting; a service
    /// without programs passes.
    ///
    /// # Panics
    /// Something is missing.
    pub fn shows_where_a_program_is_wrong(&'static self) {
        let Some((file, program)) = self.wrong_program else { return };
        let place = Place::new(self);
        place.complete();
        place.write(file, program);
        for (command, expected) in [("check", 1), ("run", 2)] {
            let (code, text) = place.run(&[command]);
            assert_eq!(code, expected, "{command}: {text}");
            assert!(text.contains(&format!("┌─ {file}:1:")), "{command}: {text}");
        }
    }

    fn holds_rows(&self, text: &str, rows: &[Row]) {
        for (what, word) in rows {
            assert!(row(text, what).contains(word), "{what} without {word} in\n{text}");
        }
        assert!(!text.contains(self.secret), "a secret in\n{text}");
    }
}

/// The requests that changed something.
fn changes(registry: &Registry) -> Vec<String> {
    let is_change = |request: &String| request.starts_with("POST") && request.contains("versions");
    registry.requests().into_iter().filter(is_change).collect()
}

/// Makes the tests of a [`Service`].
#[macro_export]
macro_rules! command_tests {
    ($service:expr) => {
        #[test]
        fn the_command_line_explains_itself() {
            $service.explains_itself();
        }

        #[test]
        fn all_bad_settings_are_named_at_once_before_anything_is_asked() {
            $service.names_all_bad_settings_at_once();
        }

        #[test]
        fn config_prints_what_is_in_force_without_secrets() {
            $service.shows_what_is_in_force_without_secrets();
        }

        #[test]
        fn check_says_what_is_missing_and_then_that_all_is_well() {
            $service.checks_without_changing_anything();
        }

        #[test]
        fn a_program_that_is_wrong_is_shown_with_its_line() {
            $service.shows_where_a_program_is_wrong();
        }
    };
}
