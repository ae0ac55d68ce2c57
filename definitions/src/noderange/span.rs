//! Spans: the names of `n[1-10]`, `n1-n10`, `n1:n10` and `n10+3`, whether they exist or not.
//!
//! What can only be meant as a span is one or is refused: it is never one name with a `-` in it.

use std::ops::Range;

/// The most names that the spans of one range may make.
pub const LIMIT: usize = 100_000;

/// Makes the names of a span, at most `limit`; a plain name is a span of one.
pub(super) fn names(word: &str, limit: usize) -> Result<Vec<String>, String> {
    if word.contains(['[', ']']) {
        return brackets(word, limit);
    }
    if let Some((first, count)) = word.split_once('+') {
        if from_to(first, limit).is_some() {
            return Err(format!("'{word}' counts in two ways: write one span"));
        }
        let count = number(count).ok_or_else(|| format!("'{word}' lacks a number after '+'"))?;
        let run =
            Run::parse(first).ok_or_else(|| format!("'{first}' has no number to count from"))?;
        let last = run.first.checked_add(count);
        return run.names(last.ok_or_else(|| too_many(word))?, word, limit);
    }
    if let Some(result) = from_to(word, limit) {
        return result;
    }
    match word.find(':') {
        Some(_) => Err(format!("'{word}' does not lead from a name to a later one")),
        None if limit == 0 => Err(too_many(word)),
        None => Ok(vec![word.to_owned()]),
    }
}

/// A name with a number in it that counts.
struct Run<'a> {
    before: &'a str,
    first: u64,
    width: usize,
    after: &'a str,
}

impl<'a> Run<'a> {
    /// Takes the last number of a name.
    fn parse(name: &'a str) -> Option<Self> {
        let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
        let begin = name[..end]
            .rfind(|c: char| !c.is_ascii_digit())
            .map_or(0, |at| at + 1);
        Self::at(name, begin..end)
    }

    /// Takes the number at a place of a name.
    fn at(name: &'a str, place: Range<usize>) -> Option<Self> {
        Some(Self {
            before: &name[..place.start],
            first: number(&name[place.clone()])?,
            width: width(&name[place.clone()]),
            after: &name[place.end..],
        })
    }

    /// Makes the names up to a number.
    fn names(&self, last: u64, word: &str, limit: usize) -> Result<Vec<String>, String> {
        let numbers = numbers(self.first, last, word, limit)?;
        let Self {
            before,
            width,
            after,
            ..
        } = self;
        Ok(numbers
            .map(|n| format!("{before}{n:0width$}{after}"))
            .collect())
    }
}

/// Reads `n1-n10` and `n1:n10`: both sides are the same but for one number, wherever it is.
///
/// `None`: it is no such span, since the sides differ in more than numbers; a name may hold a `-` itself.
fn from_to(word: &str, limit: usize) -> Option<Result<Vec<String>, String>> {
    word.match_indices(['-', ':'])
        .find_map(|(at, _)| between(&word[..at], &word[at + 1..], word, limit))
}

/// Makes the names from one to another.
fn between(
    first: &str,
    last: &str,
    word: &str,
    limit: usize,
) -> Option<Result<Vec<String>, String>> {
    let (ones, others) = (pieces(first), pieces(last));
    let pairs = || {
        ones.iter()
            .map(|piece| &first[piece.clone()])
            .zip(others.iter().map(|piece| &last[piece.clone()]))
    };
    let same_text = |(one, other): (&str, &str)| {
        one.eq_ignore_ascii_case(other) || (is_digits(one) && is_digits(other))
    };
    if ones.len() != others.len() || !pairs().all(same_text) || !pairs().any(is_number) {
        return None;
    }
    if let Err(error) = check_ends(word, pairs()) {
        return Some(Err(error));
    }
    let value = |digits: &str| digits.trim_start_matches('0').to_owned();
    let differ: Vec<_> = (0..ones.len())
        .zip(pairs())
        .filter(|(_, (one, other))| is_digits(one) && value(one) != value(other))
        .map(|(at, _)| at)
        .collect();
    // n1-n1 is n1; a word without a number, twice, is a name.
    let last_number = || {
        (0..ones.len())
            .rev()
            .find(|at| is_digits(&first[ones[*at].clone()]))
    };
    let at = match differ.as_slice() {
        [] => last_number()?,
        [at] => *at,
        _ => {
            return Some(Err(format!(
                "'{word}' counts in more than one number: write each in brackets, such as rack[01-03]unit[34-36]"
            )));
        }
    };
    let run = Run::at(first, ones[at].clone()).zip(number(&last[others[at].clone()]));
    let Some((mut run, last)) = run else {
        return Some(Err(too_many(word)));
    };
    if is_digits(first) {
        run.before = "node";
    }
    Some(run.names(last, word, limit))
}

/// Refuses ends that are written in two ways, in case or in the padding of a number, and shows both: which one is
/// meant is not to be guessed, because the names of one may exist beside those of the other.
fn check_ends<'a>(
    word: &str,
    pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<(), String> {
    let mark = if word.contains(':') { ":" } else { "-" };
    let reading = |one: &dyn Fn((&'a str, &'a str)) -> (String, String)| {
        let (first, last): (String, String) = pairs.clone().map(one).unzip();
        format!("{first}{mark}{last}")
    };
    let is_text = |(one, _): &(&str, &str)| !is_digits(one);
    if pairs
        .clone()
        .filter(is_text)
        .any(|(one, other)| one != other)
    {
        let alike = |of_first: bool| {
            reading(&move |(one, other): (&str, &str)| {
                if is_digits(one) {
                    (one.to_owned(), other.to_owned())
                } else {
                    let text = if of_first { one } else { other };
                    (text.to_owned(), text.to_owned())
                }
            })
        };
        return Err(format!(
            "the ends of '{word}' differ in case: write {} or {}",
            alike(true),
            alike(false)
        ));
    }
    if pairs.clone().any(is_padded_once) {
        let padded = |(one, other): (&str, &str)| {
            if is_padded_once((one, other)) {
                let width = one.len().max(other.len());
                (format!("{one:0>width$}"), format!("{other:0>width$}"))
            } else {
                (one.to_owned(), other.to_owned())
            }
        };
        let plain = |(one, other): (&str, &str)| {
            if is_padded_once((one, other)) {
                (without_zeros(one), without_zeros(other))
            } else {
                (one.to_owned(), other.to_owned())
            }
        };
        return Err(format!(
            "the ends of '{word}' are padded differently: write {} or {}",
            reading(&padded),
            reading(&plain)
        ));
    }
    Ok(())
}

/// Whether a number is padded to a width that the other one does not have: `01` and `3`, `1` and `03`; `08` and `12`
/// are alike, as are `08` and `100`.
fn is_padded_once((one, other): (&str, &str)) -> bool {
    let padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    is_number((one, other))
        && (padded(one) && other.len() < one.len() || padded(other) && other.len() != one.len())
}

fn is_number((one, other): (&str, &str)) -> bool {
    is_digits(one) && is_digits(other)
}

fn without_zeros(digits: &str) -> String {
    let plain = digits.trim_start_matches('0');
    if plain.is_empty() { "0" } else { plain }.to_owned()
}

/// Returns the two spans that one with ends of different words may be meant as: `n1-n3` and `m1-m3` of `n1-m3`, which is
/// also the name of a node.
pub(super) fn with_other_words(word: &str) -> Option<[String; 2]> {
    word.match_indices(['-', ':']).find_map(|(at, mark)| {
        let (first, last) = (Run::parse(&word[..at])?, Run::parse(&word[at + 1..])?);
        let whole = first.after.is_empty() && last.after.is_empty();
        let span = |before: &str| {
            let digits = [
                &word[first.before.len()..at],
                &word[at + 1 + last.before.len()..],
            ];
            format!("{before}{}{mark}{before}{}", digits[0], digits[1])
        };
        (whole && first.before != last.before).then(|| [span(first.before), span(last.before)])
    })
}

/// Splits a name into its numbers and what is between.
fn pieces(name: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::<Range<usize>>::new();
    let mut digits = None;
    for (at, byte) in name.bytes().enumerate() {
        match pieces.last_mut() {
            Some(piece) if digits == Some(byte.is_ascii_digit()) => piece.end = at + 1,
            _ => pieces.push(at..at + 1),
        }
        digits = Some(byte.is_ascii_digit());
    }
    pieces
}

/// Reads `r[1-2]n[01-04,7]`: every way to take one number from each pair of brackets.
fn brackets(word: &str, limit: usize) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = word;
    while let Some(begin) = rest.find('[') {
        let end = rest.find(']').filter(|end| *end > begin);
        let end = end.ok_or_else(|| format!("'{word}' has a '[' that nothing closes"))?;
        let choices = choices(&rest[begin + 1..end], word, limit)?;
        if names.len().saturating_mul(choices.len()) > limit {
            return Err(too_many(word));
        }
        let before = &rest[..begin];
        let longer = names.iter().flat_map(|name| {
            let choices = choices.iter();
            choices.map(move |choice| format!("{name}{before}{choice}"))
        });
        names = longer.collect();
        rest = &rest[end + 1..];
    }
    for name in &mut names {
        name.push_str(rest);
    }
    match names.first().and_then(|name| from_to(name, limit)) {
        Some(_) => Err(format!("'{word}' counts in two ways: write one span")),
        None => Ok(names),
    }
}

/// Reads what is between brackets: `01-04,7`.
fn choices(text: &str, word: &str, limit: usize) -> Result<Vec<String>, String> {
    let mut choices = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once(['-', ':']).unwrap_or((part, part));
        let numeric = number(first).zip(number(last));
        let (low, high) =
            numeric.ok_or_else(|| format!("'{word}' has '[{text}]', which are no numbers"))?;
        if is_padded_once((first, last)) {
            let longest = first.len().max(last.len());
            return Err(format!(
                "the ends of '{part}' in '{word}' are padded differently: write {first:0>longest$}-{last:0>longest$} or \
                 {}-{}",
                without_zeros(first),
                without_zeros(last)
            ));
        }
        let width = width(first);
        let numbers = numbers(low, high, word, limit.saturating_sub(choices.len()))?;
        choices.extend(numbers.map(|n| format!("{n:0width$}")));
    }
    Ok(choices)
}

/// Counts from one number to another, not too far.
fn numbers(
    first: u64,
    last: u64,
    word: &str,
    limit: usize,
) -> Result<std::ops::RangeInclusive<u64>, String> {
    if first > last {
        return Err(format!("'{word}' runs backwards"));
    }
    if last - first >= limit as u64 {
        return Err(too_many(word));
    }
    Ok(first..=last)
}

/// Reads digits and nothing else.
fn number(text: &str) -> Option<u64> {
    is_digits(text).then(|| text.parse().ok())?
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the width that a number is padded to: its own, if it begins with a zero.
fn width(digits: &str) -> usize {
    if digits.starts_with('0') {
        digits.len()
    } else {
        0
    }
}

fn too_many(word: &str) -> String {
    format!("'{word}' makes more than {LIMIT} names")
}
