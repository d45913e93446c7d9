//! The programs that tests start: a server of Redis or Valkey, and `openssl` for certificates.
//!
//! Where they are missing and `apt-get` is here, their packages are unpacked under `target/` and
//! nothing is installed: a package that is installed starts a service on the port 6379, which nobody
//! asked for. A script beside them says where their libraries are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use crate::command::{self, Outcome};
use crate::{apt, tree};

/// The oldest major version of the server that Cachine supports.
const OLDEST: u32 = 7;

/// A program that tests start.
struct Wanted {
    /// The variable of the environment that says where it is, to us and to the tests.
    variable: &'static str,
    /// What it is called, the first that is found.
    names: &'static [&'static str],
    /// The words that make it say its version.
    version: &'static [&'static str],
    /// The package of Debian and Ubuntu that has it under its first name.
    package: &'static str,
    /// What is wrong with it, by what it says.
    judge: fn(&str) -> Outcome,
}

const REDIS: Wanted = Wanted {
    variable: "CACHINE_REDIS_SERVER",
    names: &["redis-server", "valkey-server"],
    version: &["--version"],
    package: "redis-server",
    judge: is_new_enough,
};

const OPENSSL: Wanted = Wanted {
    variable: "CACHINE_OPENSSL",
    names: &["openssl"],
    version: &["version"],
    package: "openssl",
    judge: |_| Ok(()),
};

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Servers {
    found: Vec<(&'static str, PathBuf)>,
}

impl Servers {
    /// Finds the programs, or gets what is missing; an error says what to type.
    pub(crate) fn ready() -> Outcome<Self> {
        let found = [REDIS, OPENSSL].iter().map(|wanted| Ok((wanted.variable, wanted.ready()?)));
        Ok(Self { found: found.collect::<Outcome<_>>()? })
    }

    /// Tells a command that runs tests where they are.
    pub(crate) fn told<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.found.iter().map(|(variable, path)| (variable, path)))
    }

    /// The lines that tell a shell, for tests that are started by hand.
    pub(crate) fn lines(&self) -> String {
        let line = |(variable, path): &(&str, PathBuf)| {
            format!("export {variable}='{}'\n", path.display())
        };
        self.found.iter().map(line).collect()
    }
}

impl Wanted {
    fn ready(&self) -> Outcome<PathBuf> {
        if let Some(path) = env::var_os(self.variable).filter(|path| !path.is_empty()) {
            self.judged(Path::new(&path))?;
            return Ok(path.into());
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = env::split_paths(&path).collect();
        let mut places =
            self.names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        if let Some(place) = places.find(|place| place.is_file()) {
            self.judged(&place)?;
            return Ok(place);
        }
        let unpacked = unpacked().join(self.names[0]);
        if self.judged(&unpacked).is_err() {
            let got = if apt::is_here() { self.unpack(&unpacked) } else { Err(String::new()) };
            got.map_err(|why| format!("{why}\n{}", self.advice()).trim_start().to_owned())?;
        }
        Ok(unpacked)
    }

    /// Runs it, and looks at what it says about itself.
    fn judged(&self, program: &Path) -> Outcome {
        let said = command::capture(command::program(program).args(self.version))?;
        (self.judge)(&said).map_err(|reason| format!("{} {reason}", program.display()))
    }

    /// Gets the packages that it and its libraries are in, and makes the script that starts it.
    fn unpack(&self, script: &Path) -> Outcome {
        let download = |packages: &[String]| {
            let folder = unpacked().join("packages");
            // What an earlier run left half done is not unpacked.
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).map_err(|error| wrong(&folder, &error))?;
            let mut apt = command::program("apt-get");
            // Root has to say that it downloads as root; to others it means nothing.
            apt.args(["--quiet", "--option", "APT::Sandbox::User=root", "download"]);
            command::run(apt.args(packages).current_dir(&folder))?;
            Ok(folder)
        };
        let get = || missing(self.package).and_then(|packages| download(&packages));
        let packages = get().or_else(|why| {
            // The lists of packages may be missing or old. Only root may renew them.
            apt::as_root(&["update", "--quiet"]).unwrap_or(Err(why)).and_then(|()| get())
        })?;
        let root = unpacked().join("files");
        for package in entries(&packages)? {
            command::run(command::program("dpkg-deb").arg("--extract").arg(package).arg(&root))?;
        }
        let program = format!("files/usr/bin/{}", self.names[0]);
        fs::write(script, start(&program, &libraries(&root)?))
            .map_err(|error| wrong(script, &error))?;
        command::capture(command::program("chmod").arg("755").arg(script))?;
        self.judged(script)
    }

    fn advice(&self) -> String {
        let (names, package) = (self.names.join(" or "), self.package);
        let how = if apt::is_here() {
            format!("On Debian and Ubuntu, type:\n    sudo apt-get install {package}")
        } else if cfg!(target_os = "macos") {
            let formula = self.names[0].trim_end_matches("-server");
            format!("With Homebrew, type:\n    brew install {formula}")
        } else {
            format!("Install it and put it on PATH, or let {} name it", self.variable)
        };
        format!("The tests start {names}, and there is none. {how}")
    }
}

/// Where packages are unpacked, and the scripts that start what is in them.
fn unpacked() -> PathBuf {
    tree::root().join("target/servers")
}

/// The package, and those that it needs and that are not installed.
fn missing(package: &str) -> Outcome<Vec<String>> {
    let words = ["install", "--simulate", "--no-install-recommends", "--quiet", package];
    let plan = command::capture(command::program("apt-get").args(words).env("LC_ALL", "C"))?;
    let mut packages: Vec<String> = planned(&plan).map(str::to_owned).collect();
    packages.push(package.to_owned());
    if package == REDIS.package {
        // Debian keeps the program itself there; here, and in the plan, or installed and hidden.
        packages.push("redis-tools".to_owned());
    }
    packages.sort_unstable();
    packages.dedup();
    Ok(packages)
}

/// The packages that a simulated installation would add. One that it would only renew is in use as it
/// is, and a second C library beside the first would break every program.
fn planned(plan: &str) -> impl Iterator<Item = &str> {
    plan.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        rest.starts_with('(').then_some(name)
    })
}

/// The folders of libraries under `root`, from there.
fn libraries(root: &Path) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for folder in ["lib", "usr/lib"].map(|name| root.join(name)) {
        if folder.is_dir() {
            let inner = entries(&folder)?.into_iter().filter(|path| path.is_dir());
            found.extend(inner.chain([folder.clone()]));
        }
    }
    let from_root = |path: &PathBuf| Some(path.strip_prefix(root).ok()?.display().to_string());
    Ok(found.iter().filter_map(from_root).collect())
}

/// A script that runs a program with its libraries, wherever the repository lies.
fn start(program: &str, libraries: &[String]) -> String {
    let folders: Vec<String> =
        libraries.iter().map(|folder| format!("$here/files/{folder}")).collect();
    format!(
        "#!/bin/sh\nhere=$(cd \"$(dirname \"$0\")\" && pwd)\n\
         LD_LIBRARY_PATH=\"{}\" exec \"$here/{program}\" \"$@\"\n",
        folders.join(":")
    )
}

fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let read = fs::read_dir(folder).map_err(|error| wrong(folder, &error))?;
    let mut paths: Vec<PathBuf> = read.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    Ok(paths)
}

fn wrong(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Whether a server is new enough, by the line that it prints.
fn is_new_enough(said: &str) -> Outcome {
    let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="));
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    match (major, version) {
        (Some(major), _) if major >= OLDEST => Ok(()),
        (_, Some(version)) => {
            Err(format!("is version {version}. Cachine needs Redis {OLDEST}.0 or newer, or Valkey"))
        }
        _ => Err(format!(
            "is no server of Redis or Valkey: {}",
            said.lines().next().unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused_with_its_version() {
        assert_eq!(is_new_enough("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc\n"), Ok(()));
        assert_eq!(is_new_enough("Valkey server v=8.0.1 sha=00000000:0 bits=64\n"), Ok(()));
        let old = is_new_enough("Redis server v=6.0.16 sha=00000000:0\n").unwrap_err();
        assert!(old.starts_with("is version 6.0.16. Cachine needs Redis 7.0"), "{old}");
        assert!(is_new_enough("hello\n").unwrap_err().ends_with("hello"));
    }

    #[test]
    fn of_a_simulated_installation_only_what_is_new_is_taken() {
        let plan = "NOTE: This is only a simulation!\nReading package lists...\n\
            Inst libc6 [2.36-9] (2.36-9+deb12u4 Debian:12/stable [amd64])\n\
            Inst liblzf1 (3.6-3 Debian:12/stable [amd64])\n\
            Inst redis-server (5:7.0.15-1~deb12u10 Debian-Security:12 [amd64])\n\
            Conf liblzf1 (3.6-3 Debian:12/stable [amd64])\n";
        assert_eq!(planned(plan).collect::<Vec<_>>(), ["liblzf1", "redis-server"]);
    }

    #[test]
    fn a_program_that_is_named_and_does_not_run_is_told() {
        let problem = REDIS.judged(Path::new("/no/such/server")).unwrap_err();
        assert!(problem.contains("/no/such/server"), "{problem}");
    }
}
