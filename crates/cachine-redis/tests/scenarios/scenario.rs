//! The scenarios that the model of the protocol and the client share, as they stand in their file.

use std::str::FromStr;

/// What all scenarios are about.
pub(crate) const KEYS: [&str; 2] = ["a", "b"];
/// The tags in play.
pub(crate) const TAGS: [&str; 2] = ["t", "u"];

/// The file, read by the model as well.
const FILE: &str = include_str!("../../../../tests/protocol/scenarios.txt");

/// What the model does not have: a longer life for what has a stale window, an index that throws out members
/// of what has expired, and results that are not to be stored, as chance has it (`Habits`). So endings
/// meet more of the others here.
const OWN: &str = "
tagged counter | set a / incr a, call a ; invalidate t, set a | tag crash=1 drop=1
two counters | set a / incr a ; incr a, call a ; invalidate t | tag crash=1
longer stale life | call a / expire a, call a ; set a ; delete a | age=1 crash=1
life of another | set a / expire a, delete b ; invalidate t, set a | tag keys time=1
longer life | set a, set b / expire a, invalidate t ; set b | tag keys time=1
failing and again | fail a, call a ; fail a ; call a | drop=1
failing and giving up | fail a, call a ; call a ; call a | giveup=1
failing and join | call a ; fail a, delete a ; join a | drop=1
failing and nothing | none a, call a ; fail a ; none a | crash=1 drop=1
failing and refresh | fail a ; refresh a ; call a | crash=1 drop=1
failing and mixed tags | fail a ; none a, invalidate u ; call a | mixed drop=1
nothing and giving up | none a, call a ; none a ; call a | giveup=1
nothing and longer wait | none a ; delete a, none a ; none a, none a | drop=1
nothing and set | none a ; set a, invalidate t ; none a | tag crash=1
nothing, then join | call a ; none a, delete a, join a | drop=1
nothing, then join and tag | call a ; none a, invalidate t, join a | tag
nothing, join and result tag | call a ; none a ; invalidate t, join a | result
forgotten script and ending | fail a, call a ; fail a ; call a | forget=1
forgotten script and nothing | none a, none a ; delete a, none a ; call a | forget=1
forgotten script and incr | set a / incr a ; invalidate t ; call a | tag forget=1
forgotten script and tags | set a / tag a u ; expire a ; invalidate u, set a | tag forget=1
";

/// What a computation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comes {
    Value,
    Error,
    /// What is not stored, and yet a result for others.
    Nothing,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A cached call, and what its own computation would come to.
    Call(usize, Comes),
    /// A call that computes whatever stands.
    Refresh(usize),
    /// A call in the process of the first client, which may find a computation under way.
    Join(usize),
    /// An explicit write, with the tags of its key unless it is bare.
    Set {
        key: usize,
        is_bare: bool,
    },
    Incr(usize),
    Delete(usize),
    /// A longer life.
    Expire(usize),
    /// Further tags.
    Tag {
        key: usize,
        tags: Vec<usize>,
    },
    Invalidate(Vec<usize>),
    Clear,
}

/// The tags of each key, and how calls behave.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Whether callers wait for each other.
    pub(crate) is_shared: bool,
    /// The tags that are known before the computation, for each key.
    pub(crate) known: [Vec<usize>; 2],
    /// The tags that only the result names.
    pub(crate) late: [Vec<usize>; 2],
}

/// How much of each trouble there may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    pub(crate) crash: usize,
    pub(crate) drop: usize,
    pub(crate) age: usize,
    pub(crate) time: usize,
    pub(crate) give_up: usize,
    pub(crate) forget: usize,
}

/// One line of the file.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// What was done before.
    pub(crate) before: Vec<Operation>,
    /// What each client does, one after the other.
    pub(crate) clients: Vec<Vec<Operation>>,
    pub(crate) shape: Shape,
    pub(crate) budget: Budget,
}

/// All scenarios of the file, and those here.
pub(crate) fn all() -> Vec<Scenario> {
    let lines = FILE.lines().chain(OWN.lines()).map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.parse().unwrap_or_else(|what| panic!("{what} in {line:?}"))).collect()
}

/// The scenario of this name.
pub(crate) fn named(name: &str) -> Scenario {
    let found = all().into_iter().find(|scenario| scenario.name == name);
    found.unwrap_or_else(|| panic!("there is no scenario {name:?}"))
}

impl Scenario {
    /// The tags of a key that a call stores, or a write that is not bare.
    pub(crate) fn tags(&self, key: usize) -> Vec<usize> {
        [&self.shape.known[key][..], &self.shape.late[key]].concat()
    }

    /// The same without the troubles that can come at any time.
    pub(crate) fn calm(mut self) -> Self {
        (self.budget.crash, self.budget.drop) = (0, 0);
        self
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, work, rest] = parts[..] else { return Err("not three parts".to_owned()) };
        let (before, clients) = match work.split_once('/') {
            Some((before, clients)) => (operations(before)?, clients),
            None => (Vec::new(), work),
        };
        let clients = clients.split(';').map(operations).collect::<Result<_, _>>()?;
        let none = || [Vec::new(), Vec::new()];
        let mut shape = Shape { is_shared: true, known: none(), late: none() };
        let mut budget = Budget::default();
        for word in rest.split_whitespace() {
            match word.split_once('=') {
                None => shape.apply(word)?,
                Some((trouble, count)) => {
                    let count = count.parse().map_err(|_| format!("{count:?} is no number"))?;
                    *budget.of(trouble)? = count;
                }
            }
        }
        Ok(Self { name: name.to_owned(), before, clients, shape, budget })
    }
}

impl Shape {
    fn apply(&mut self, word: &str) -> Result<(), String> {
        match word {
            "free" => self.is_shared = false,
            // Which keys, the operations say; and the client's pages are longer than any index here.
            "keys" | "pages" => {}
            "tag" => self.known = [vec![0], vec![0]],
            "both" => self.known = [vec![0, 1], vec![0]],
            "result" => self.late = [vec![0], vec![0]],
            "mixed" => (self.known[0], self.late[0]) = (vec![0], vec![1]),
            _ => return Err(format!("the shape {word:?} is unknown")),
        }
        Ok(())
    }
}

impl Budget {
    fn of(&mut self, trouble: &str) -> Result<&mut usize, String> {
        Ok(match trouble {
            "crash" => &mut self.crash,
            "drop" => &mut self.drop,
            "age" => &mut self.age,
            "time" => &mut self.time,
            "giveup" => &mut self.give_up,
            "forget" => &mut self.forget,
            _ => return Err(format!("the trouble {trouble:?} is unknown")),
        })
    }
}

impl Operation {
    /// Whether the source changes as it starts, so that what was there before is out of date once it
    /// has returned.
    pub(crate) fn invalidates(&self) -> bool {
        !self.is_call() && !matches!(self, Self::Expire(_) | Self::Tag { .. })
    }

    /// Whether it returns a cached value.
    pub(crate) fn is_call(&self) -> bool {
        self.called().is_some()
    }

    /// The key of a call.
    pub(crate) fn called(&self) -> Option<usize> {
        match self {
            Self::Call(key, _) | Self::Join(key) | Self::Refresh(key) => Some(*key),
            _ => None,
        }
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let key = |word| place(&KEYS, word);
        Ok(match words[..] {
            ["call", one] => Self::Call(key(one)?, Comes::Value),
            ["fail", one] => Self::Call(key(one)?, Comes::Error),
            ["none", one] => Self::Call(key(one)?, Comes::Nothing),
            ["refresh", one] => Self::Refresh(key(one)?),
            ["join", one] => Self::Join(key(one)?),
            ["set", one] => Self::Set { key: key(one)?, is_bare: false },
            ["set", one, "untagged"] => Self::Set { key: key(one)?, is_bare: true },
            ["incr", one] => Self::Incr(key(one)?),
            ["delete", one] => Self::Delete(key(one)?),
            ["expire", one] => Self::Expire(key(one)?),
            ["tag", one, ref tags @ ..] => Self::Tag { key: key(one)?, tags: places(tags)? },
            ["invalidate", ref tags @ ..] => Self::Invalidate(places(tags)?),
            ["clear"] => Self::Clear,
            _ => return Err(format!("the operation {text:?} is unknown")),
        })
    }
}

fn operations(text: &str) -> Result<Vec<Operation>, String> {
    text.split(',').map(str::parse).collect()
}

fn places(tags: &[&str]) -> Result<Vec<usize>, String> {
    tags.iter().map(|tag| place(&TAGS, tag)).collect()
}

fn place(names: &[&str], word: &str) -> Result<usize, String> {
    names.iter().position(|name| *name == word).ok_or_else(|| format!("{word:?} is unknown"))
}
