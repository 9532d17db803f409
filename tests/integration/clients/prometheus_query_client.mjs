// Every call of npm's prometheus-query against a server that holds contract_data.py.
// usage: node prometheus_query_client.mjs FOLDER_OF_PACKAGES URL START_S END_S
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';

const [folder, url, startText, endText] = process.argv.slice(2);
const {PrometheusDriver} = createRequire(folder + '/')('prometheus-query');
const client = new PrometheusDriver({endpoint: url, baseURL: '/api/v1'});
const [start, end] = [Number(startText) * 1000, Number(endText) * 1000];
const instant = start + 605000;

let result = await client.instantQuery('requests_total{code="200",instance="a:80"}', instant);
assert.equal(result.resultType, 'vector');
assert.equal(result.result.length, 1);
assert.equal(result.result[0].metric.name, 'requests_total');
assert.deepEqual(result.result[0].metric.labels, {code: '200', instance: 'a:80', job: 'api'});
assert.equal(result.result[0].value.value, 120);
assert.equal(result.result[0].value.time.getTime(), instant);

result = await client.instantQuery('1 + 1', instant);
assert.equal(result.resultType, 'scalar');
assert.deepEqual(result.result, [instant / 1000, '2']);

result = await client.instantQuery('odd_value{i=~"0[0-2]"}', instant);
// This client has no other word for +Inf and -Inf.
assert.deepEqual(result.result.map((s) => s.value.value), [NaN, NaN, NaN]);

result = await client.rangeQuery('lonely', start + 5000, start + 305000, 60);
assert.equal(result.resultType, 'matrix');
assert.deepEqual(result.result[0].values.map((v) => v.value), [0, 4, 8, 12, 16, 20]);

const series = await client.series('{__name__=~"build_info|lonely"}', start, end);
assert.deepEqual(series.map((s) => s.toString()).sort(), [
    'build_info{instance="a:80", job="api", version="1.0"}',
    'build_info{instance="b:80", job="api", version="1.1"}',
    'build_info{instance="c:80", job="api", version="1.2"}', 'lonely{}']);
assert.deepEqual(await client.labelNames('build_info', start, end),
    ['__name__', 'instance', 'job', 'version']);
assert.deepEqual(await client.labelValues('version', 'build_info', start, end),
    ['1.0', '1.1', '1.2']);

const targets = await client.targets();
assert.equal(targets.activeTargets.length, 1);
assert.equal(targets.activeTargets[0].health, 'up');
assert.equal(targets.activeTargets[0].scrapePool, 'pages');
assert.equal(targets.droppedTargets.length, 1);
const ofTargets = await client.targetsMetadata('{job="pages"}', 'level_volts');
assert.equal(ofTargets[0].type, 'gauge');
const metadata = await client.metadata('widgets');
assert.equal(metadata.widgets[0].type, 'counter');
assert.deepEqual(await client.rules(), []);
assert.deepEqual(await client.alerts(), []);
const managers = await client.alertmanagers();
assert.deepEqual([managers.activeAlertmanagers, managers.droppedAlertmanagers], [[], []]);

assert.match((await client.status()).yaml, /^global:/);
assert.equal((await client.statusFlags())['query.timeout'], '2m');
assert.equal((await client.statusRuntimeInfo()).reloadConfigSuccess, true);
assert.match((await client.statusBuildinfo()).version, /^3\.14\./);
assert.ok((await client.statusTSDB()).headStats.numSeries > 0);

await assert.rejects(client.instantQuery('(', instant), (error) => {
    assert.equal(error.httpStatus, 400);
    assert.equal(error.prometheus.errorType, 'bad_data');
    assert.match(error.error, /unclosed left parenthesis/);
    return true;
});
// Administration, last: it deletes.
assert.match((await client.adminSnapshot(true)).name, /^\d{8}T\d{6}Z-[0-9a-f]{16}$/);
// This client takes the 204 without a body, which Prometheus answers too, for a failure.
const noBody = (error) => assert.equal(error.original.error, 'unexpected client error');
await client.adminDeleteSeries('lonely', start, end).catch(noBody);
await client.adminCleanTombstones().catch(noBody);
assert.deepEqual((await client.instantQuery('lonely', instant)).result, []);
console.log('prometheus-query works');
