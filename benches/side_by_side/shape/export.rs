//! Files as DynamoDB exports them, of items like those of `plans/online-learning.yaml`.

use crate::trouble::{Told, Tried};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// An export: its files.
pub struct Export {
    pub files: Vec<PathBuf>,
    /// Bytes before compression.
    pub bytes: u64,
    pub items: u64,
}

const WORDS: [&str; 16] = [
    "lesson", "course", "video", "quiz", "module", "learner", "teacher", "progress", "content", "summary",
    "example", "exercise", "answer", "question", "chapter", "review",
];

impl Export {
    /// Writes about so many bytes of JSON, in so many files. The same every time.
    pub fn write(folder: &Path, bytes: u64, files: u64) -> Tried<Self> {
        std::fs::create_dir_all(folder).told("a directory")?;
        let mut export = Self {
            files: Vec::new(),
            bytes: 0,
            items: 0,
        };
        let mut random = 1;
        for number in 0..files {
            let path = folder.join(format!("{number:05}.json.gz"));
            let mut packed = GzEncoder::new(File::create(&path).told("a file")?, Compression::default());
            let full = bytes * (number + 1) / files;
            while export.bytes < full {
                let line = line(export.items, &mut random);
                packed.write_all(line.as_bytes()).told("a file")?;
                export.bytes += line.len() as u64;
                export.items += 1;
            }
            packed.finish().told("a file")?;
            export.files.push(path);
        }
        Ok(export)
    }
}

/// Some words, so that the files are packed about as well as real ones.
fn words(random: &mut u64) -> String {
    let word = |_| {
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        WORDS[(*random >> 60) as usize]
    };
    (0..30).map(word).collect::<Vec<_>>().join(" ")
}

fn line(n: u64, random: &mut u64) -> String {
    let (tens, ten) = (n / 10, n % 10);
    let text = words(random);
    let at = format!(r#""updatedAt":{{"S":"2026-01-01T00:00:00.{:03}Z"}}"#, n % 1000);
    let item = match n % 100 {
        0..4 => format!(
            r#""PK":{{"S":"COURSE#c{n}"}},"SK":{{"S":"METADATA"}},"type":{{"S":"Course"}},"title":{{"S":"Course {n}"}},"desc":{{"S":"{text}"}},"category":{{"S":"category-{ten}"}},"instructor":{{"S":"teacher-{ten}"}},"level":{{"N":"2"}},"tags":{{"SS":["quiz","video"]}},"published":{{"BOOL":true}}"#
        ),
        4..44 => format!(
            r#""PK":{{"S":"COURSE#c{tens}"}},"SK":{{"S":"MODULE#m{ten}#CONTENT#{n}"}},"type":{{"S":"Content"}},"s3Key":{{"S":"media/c{tens}/{n}.mp4"}},"contentType":{{"S":"video/mp4"}},"bytes":{{"N":"{n}048576"}},"checksum":{{"B":"3q2+7w=="}},"captions":{{"L":[{{"M":{{"language":{{"S":"en"}},"s3Key":{{"S":"media/{n}.en.vtt"}}}}}},{{"M":{{"language":{{"S":"de"}},"s3Key":{{"S":"media/{n}.de.vtt"}}}}}}]}},"summary":{{"S":"{text}"}}"#
        ),
        44..94 => format!(
            r#""PK":{{"S":"USER#u{tens}"}},"SK":{{"S":"PROGRESS#COURSE#c{ten}#CONTENT#{n}"}},"type":{{"S":"Progress"}},"course":{{"S":"c{ten}"}},"pct":{{"N":"10"}},"done":{{"BOOL":false}},"position":{{"M":{{"seconds":{{"N":"12.5"}},"device":{{"S":"web"}}}}}},"expiresAt":{{"N":"4102444800"}},"note":{{"S":"{text}"}}"#
        ),
        94..96 => format!(
            r#""PK":{{"S":"USER#u{n}"}},"SK":{{"S":"PROFILE"}},"type":{{"S":"User"}},"name":{{"S":"User {n}"}}"#
        ),
        96..99 => format!(
            r#""PK":{{"S":"USER#u{tens}"}},"SK":{{"S":"SESSION#s{n}"}},"type":{{"S":"Session"}},"token":{{"S":"{n}"}}"#
        ),
        _ => format!(
            r#""PK":{{"S":"USER#u{tens}"}},"SK":{{"S":"PAYMENT#p{n}"}},"type":{{"S":"Payment"}},"amount":{{"N":"49.9"}},"currency":{{"S":"EUR"}}"#
        ),
    };
    format!("{{\"Item\":{{{item},{at}}}}}\n")
}
