//! The golden files: entries that every release reads for ever, and writes the same way.
//!
//! `testdata/v1` has one file for each case, byte for byte what a store holds, and `manifest.ini`, which
//! says what is in them; Python reads the same files. A file that is missing is written, and the test
//! fails once so that somebody looks at it. A file that is there is compared, never written.

#[path = "golden/cases.rs"]
mod cases;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cachine_codec::steps::Steps;
use cachine_codec::stored;
use cases::{Case, cases};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1")
}

/// What the file holds; if it is missing, it is made, and noted.
fn pinned(name: &str, fresh: impl FnOnce() -> Vec<u8>, made: &mut Vec<String>) -> Vec<u8> {
    let path = directory().join(name);
    if !path.exists() {
        fs::create_dir_all(directory()).unwrap();
        fs::write(&path, fresh()).unwrap();
        made.push(name.to_owned());
    }
    fs::read(path).unwrap()
}

#[test]
fn the_golden_files_are_read_as_they_are_described() {
    let mut made = Vec::new();
    let cases = cases();
    let mut files = BTreeSet::from(["manifest.ini".to_owned()]);
    for case in &cases {
        let file = format!("{}.bin", case.name);
        let stored = pinned(&file, || case.write(), &mut made);
        case.check(&stored);
        files.insert(file);
    }
    let manifest: Vec<String> = cases.iter().map(Case::description).collect();
    let manifest = format!("{}{}", cases::HEAD, manifest.concat());
    let found = pinned("manifest.ini", || manifest.clone().into_bytes(), &mut made);
    assert_eq!(String::from_utf8(found).unwrap(), manifest);
    let there: BTreeSet<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, files, "a file has no case, or a case no file");
    assert!(
        made.is_empty(),
        "these were missing and are written now; look at them, then run again: {made:?}"
    );
}

impl Case {
    fn check(&self, stored: &[u8]) {
        let name = self.name;
        let steps = Steps { compression: None, encryption: self.encryption() };
        let read = steps.read(self.key, stored).unwrap();
        assert_eq!(read, (self.meta(), self.as_read.clone()), "{name}");
        assert_eq!(stored::meta(stored).unwrap(), self.meta(), "{name}");
        assert_eq!(stored::with_meta(stored, &self.meta()).unwrap(), stored, "{name}");
        // Two runs of an encryption differ, and another release of a compressor may do better.
        if self.secret.is_none() && self.algorithm.is_none() {
            assert_eq!(self.write(), stored, "{name}");
        }
    }
}
