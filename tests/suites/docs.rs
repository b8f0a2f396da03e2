//! What the documents show is what Tapster does, on this machine.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::Trial;
use tapster_tests::docs::{self, Sample};
use tapster_tests::examples::{self, Column};
use tapster_tests::job::Env;
use tapster_tests::suite::{self, Skips};
use tapster_tests::workspace;

/// What the page on SystemTap's own examples says.
fn examples(env: &Arc<OnceLock<Result<Env, String>>>, skips: &Skips, (name, column): (&str, Column)) -> Trial {
    let (env, skips) = (env.clone(), skips.clone());
    Trial::ignorable_test(format!("compatibility/{name}"), move || match env.get_or_init(Env::here) {
        Ok(env) => skips.complete(examples::check(env, column)),
        Err(why) => Err(why.into()),
    })
}

fn main() -> ExitCode {
    let skips = Skips::default();
    let env: Arc<OnceLock<Result<Env, String>>> = Arc::default();
    let trial = |document: &str, sample: Sample| {
        let (env, skips) = (env.clone(), skips.clone());
        let name = format!("{document}/line_{}", sample.line);
        Trial::ignorable_test(name, move || match env.get_or_init(Env::here) {
            Ok(env) => skips.complete(sample.run(env)),
            Err(why) => Err(why.into()),
        })
    };
    let trials = workspace::documents().into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(&path).expect("it was just listed");
        let document = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        docs::samples(&text).into_iter().map(move |sample| (document.clone(), sample))
    });
    let mut trials: Vec<Trial> = trials.map(|(document, sample)| trial(&document, sample)).collect();
    trials.extend([("here", Column::Here), ("there", Column::Booted)].map(|column| examples(&env, &skips, column)));
    suite::run("docs", 1, &skips, trials)
}
