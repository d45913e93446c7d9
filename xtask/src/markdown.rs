//! The pages: links lead somewhere, and the first one shows code before it explains.

use std::path::Path;

use crate::command::Outcome;
use crate::tree;

const README_LINES: usize = 150;
const CODE_BY_LINE: usize = 25;

/// What is wrong with the pages among `files`, a line each.
pub(crate) fn findings(files: &[String]) -> Outcome<Vec<String>> {
    let mut found = readme(&tree::read("README.md")?);
    for page in files.iter().filter(|path| tree::is_a(path, "md")) {
        let folder = Path::new(page).parent().unwrap_or(Path::new(""));
        for (line, target) in links(&tree::read(page)?) {
            let place = target.split(['#', '?']).next().unwrap_or_default();
            if !tree::root().join(folder).join(place).exists() {
                found.push(format!("{page}:{line}: the link leads nowhere: {target}"));
            }
        }
    }
    Ok(found)
}

/// What is wrong with the shape of the README.
fn readme(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > README_LINES {
        found.push(format!("README.md has {lines} lines; the bound is {README_LINES}"));
    }
    if !text.lines().take(CODE_BY_LINE).any(|line| line.starts_with("```")) {
        found.push(format!("README.md shows no code by line {CODE_BY_LINE}"));
    }
    found
}

/// The links of a page to other files of the repository, with their lines: `[text](target)` and
/// `[name]: target`, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let prose = without_code(line);
            let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            let definition = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
            let definition = definition.and_then(|(_, target)| target.split_whitespace().next());
            let here = inline.chain(definition).map(|target| target.trim_matches(['<', '>']));
            found.extend(here.filter(|it| is_ours(it)).map(|target| (number, target.to_owned())));
        }
    }
    found
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Whether a target is a path, and neither an address nor a place in the same page.
fn is_ours(target: &str) -> bool {
    let has_scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    });
    !(target.is_empty() || target.starts_with('#') || has_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found_outside_of_code() {
        let page = "See [a](docs/a.md#top), ![b](b.png \"B\") and [c](https://c.org).\n\
                    Not `[d](d.md)`, nor [e](#e).\n```\n[f](f.md)\n```\n[g]: ../g.md\n";
        let expected = [(1, "docs/a.md#top"), (1, "b.png"), (6, "../g.md")];
        assert_eq!(links(page), expected.map(|(line, target)| (line, target.to_owned())));
    }

    #[test]
    fn a_readme_is_short_and_shows_code_early() {
        assert!(readme("# Cachine\n\n```python\n```\n").is_empty());
        let long = format!("# Cachine\n{}```python\n", "\n".repeat(150));
        assert_eq!(readme(&long).len(), 2);
    }
}
