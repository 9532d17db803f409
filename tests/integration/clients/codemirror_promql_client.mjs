// The HTTP client and the completion of npm's @prometheus-io/codemirror-promql, as the Prometheus
// UI uses them, against a server that scrapes contract_data.py's page.
// usage: node codemirror_promql_client.mjs FOLDER_OF_PACKAGES URL
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';

const [folder, url] = process.argv.slice(2);
const load = createRequire(folder + '/');
const dist = '@prometheus-io/codemirror-promql/dist/cjs';
const {HTTPPrometheusClient} = load(`${dist}/client/prometheus.js`);
const {newCompleteStrategy} = load(`${dist}/complete/index.js`);
const {PromQLExtension} = load('@prometheus-io/codemirror-promql');
const {EditorState} = load('@codemirror/state');
const {ensureSyntaxTree} = load('@codemirror/language');
const PARSING_MS = 60000;
const {CompletionContext} = load('@codemirror/autocomplete');

const failures = [];
for (const httpMethod of ['GET', 'POST']) {
    const client = new HTTPPrometheusClient({
        url, httpMethod, httpErrorHandler: (error) => failures.push(error)});
    const names = await client.metricNames();
    assert.ok(names.includes('widgets_total') && names.includes('up'), names.join());
    assert.deepEqual(await client.labelNames('widgets_total'), ['__name__', 'instance', 'job',
                                                                'kind',
        'rack']);
    assert.deepEqual(await client.labelValues('kind', 'widgets_total'), ['round', 'square']);
    const series = await client.series('widgets_total');
    assert.equal(series.length, 2);
    assert.equal(series[0].rack, 'r<1>');
    const metadata = await client.metricMetadata();
    assert.deepEqual(metadata.widgets[0], {type: 'counter', help: 'Widgets made, <good> & "bad".',
        unit: ''});
    assert.equal((await client.flags())['query.lookback-delta'], '5m');
}

const strategy = newCompleteStrategy({remote: {
    url, httpErrorHandler: (error) => failures.push(error)}});

// What is offered where the text has a ^.
async function complete(marked) {
    const at = marked.indexOf('^');
    const text = marked.replace('^', '');
    let state = EditorState.create({doc: text,
                                    extensions: [new PromQLExtension().asExtension()]});
    // A new state is parsed for 20 ms at most, which on a busy machine is not all of it; the next
    // one has what was parsed meanwhile.
    assert.notEqual(ensureSyntaxTree(state, text.length, PARSING_MS), null);
    state = state.update({}).state;
    const result = await strategy.promQL(new CompletionContext(state, at, true));
    return result === null ? [] : result.options;
}

let options = await complete('widg^');
const metric = options.find((option) => option.label === 'widgets_total');
assert.equal(metric.type, 'constant');
assert.equal(metric.detail, 'counter');
assert.ok(options.some((option) => option.label === 'rate'));
options = await complete('widgets_total{^}');
const offered = new Set(options.map((option) => option.label));
assert.ok(['job', 'kind', 'rack'].every((label) => offered.has(label)));
options = await complete('widgets_total{kind="^"}');
assert.deepEqual(options.map((option) => option.label).sort(), ['round', 'square']);
options = await complete('widgets_total{kind="round",job="^"}');
assert.deepEqual(options.map((option) => option.label), ['pages']);
options = await complete('sum by (^)');
assert.ok(options.some((option) => option.label === 'rack'), 'labels of all metrics');
assert.deepEqual(failures, []);
console.log('codemirror-promql works');
