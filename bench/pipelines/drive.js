// Four pipelines of aws-lambda-stream on one mapping, as its README has them: an event on stdin, what it costs on stdout.
const fs = require('fs')
const { defaultOptions, initialize, fromDynamodb, toPromise } = require('aws-lambda-stream')

const READ = ['email', 'status', 'total', 'placed_at', 'tags']
const BATCHES = 12
const [branches, records] = process.argv.slice(2)

let read = 0
const pipeline = () => (stream) => stream.tap((uow) => {
  const image = uow.event.raw.new
  for (const name of READ) if (image[name] === undefined) throw new Error(`no ${name}`)
  read += 1
})
const pipelines = Object.fromEntries(branches.split(',').map((name) => [name, pipeline]))
const options = { ...defaultOptions, eventTypePrefix: 'order' }

const handler = (event) => initialize(pipelines, options).assemble(fromDynamodb(event, options)).through(toPromise)

async function handled (content) {
  if (global.gc) global.gc()
  const cpu = process.cpuUsage()
  read = 0
  await handler(JSON.parse(content))
  const { user, system } = process.cpuUsage(cpu)
  if (read !== records * branches.split(',').length) throw new Error(`${read} were read`)
  return user + system
}

async function main () {
  const content = fs.readFileSync(0)
  let least = Infinity
  for (let i = 0; i < BATCHES; i++) least = Math.min(least, await handled(content))
  process.stdout.write(JSON.stringify({ us: least / records, peak: process.resourceUsage().maxRSS / 1024 }))
}

main().catch((error) => { console.error(error); process.exit(1) })
