// Reads {"query","error"} lines of grammar_probe and compares the verdicts with the grammar that the
// Prometheus UI uses. Prints the queries that only one side takes; exits with 1 if there are any.
import {createRequire} from 'node:module';
import readline from 'node:readline';

// Packages stand in the build folder, not beside this file.
const load = createRequire(process.argv[2] + '/');
const {parser} = load('@prometheus-io/lezer-promql');

// Our parser stops at the first fault of any kind; after one of these the rest was not looked at.
const undecided = new RegExp(
    'must be greater than 0|unknown function|ranges only|no offset mod|no @ mod|offset mod|' +
    'offset may|@ modifier|@ <timestamp>|timestamp out|by zero|anchored|smoothed|' +
    'for aggregate expression|parsing regexp|invalid label name|duration out of range|' +
    'parsing number|not a valid duration|unknown unit');

const offsetModifier =
    /(?<=[a-z0-9_:)}\]] *)(?<!\b(bool|and|or|unless|atan2) *)offset *[-+]? *(\d|\.\d|step|range)/gi;

// Where that grammar knowingly differs from the server's: it closes strings and escapes of its own
// accord, knows no "2." and no metric named offset, takes "[step():1m]", counts the arguments of
// max_of, ends an offset at its parenthesis or behind two signs, reads "08" and letters stuck to
// numbers leniently, lets a metric be named atan2, and wants labels in lists to be without colons.
function differsByDesign(query, error) {
    return /unterminated|escape|illegal character|UTF-8/.test(error) ||
        /\d_*\.(?![0-9])/.test(query) || /_/.test(query.replace(/[a-z]_[a-z]/gi, '')) ||
        /offset/.test(query.replace(offsetModifier, '')) || /fill.*offset/.test(query) ||
        /colon before duration/.test(error) || /m(ax|in)_of/.test(query) ||
        /[-+*/^%(=<>] *atan2/.test(query) || /[(,][^()"[\]{}]*:[^()"[\]{}]*[,)]/.test(query) ||
        /bad number or duration/.test(error);
}

function theyAccept(query) {
    let fine = true;
    parser.parse(query).iterate({
        enter(node) {
            fine = fine && !node.type.isError;
        },
    });
    return fine;
}

const counts = {compared: 0, accepted: 0, skipped: 0, differing: 0};
for await (const line of readline.createInterface({input: process.stdin})) {
    const {query, error} = JSON.parse(line);
    if (undecided.test(error) || differsByDesign(query, error)) {
        counts.skipped++;
        continue;
    }
    const syntax = /parse error: (unexpected|unclosed|no expression|trailing commas)/.test(error);
    const theirs = theyAccept(query);
    counts.compared++;
    counts.accepted += theirs && !syntax ? 1 : 0;
    if (theirs !== syntax)
        continue;
    counts.differing++;
    console.log(`${theirs ? 'only theirs' : 'only ours'}: ${JSON.stringify(query)} ${error}`);
}
console.log(counts);
process.exit(counts.differing > 0 || counts.accepted === 0 ? 1 : 0);
