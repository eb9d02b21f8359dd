import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerInterceptor;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;

/**
 * The bare hop on Kafka Streams: one thread, records decoded and validated, encoded again, keys left where they are.
 *
 * <p>Reads a job as JSON (job.py), prints a measurement. The first quarter of the records warms up the JVM and is not
 * counted. A record counts as published when the broker has acknowledged it. Processor time is that of the process,
 * compiler and collector included. At least once, the library's default, as the kernel; commits every 200 ms.
 */
public final class Hop {
    static final ObjectMapper JSON = new ObjectMapper();
    static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    static final AtomicLong PUBLISHED = new AtomicLong();
    static final CountDownLatch DONE = new CountDownLatch(1);
    static long records, warmUp;
    static volatile long beginWall, beginCpu, endWall, endCpu;

    record Job(String servers, String source, String target, String group, long records, int partitions) {}

    record Event(
            @JsonProperty(required = true) String key,
            @JsonProperty(required = true) long number,
            @JsonProperty(required = true) String text) {}

    /** Decodes, validates, names the copy, encodes. */
    static final class Copy extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
        @Override
        public void process(Record<byte[], byte[]> row) {
            try {
                Event event = JSON.readValue(row.value(), Event.class);
                Headers headers = new RecordHeaders()
                        .add("ce_specversion", utf8("1.0"))
                        .add("ce_source", utf8("/benchmarks/hop"))
                        .add("ce_type", utf8("hop.v1"))
                        .add("ce_id", utf8(event.key()));
                context().forward(row.withValue(JSON.writeValueAsBytes(event)).withHeaders(headers));
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }
    }

    /** Counts what the broker has, and reads the clocks after the warm-up and at the end. */
    public static final class Meter implements ProducerInterceptor<byte[], byte[]> {
        @Override
        public void onAcknowledgement(RecordMetadata metadata, Exception error) {
            if (error != null) return;
            long published = PUBLISHED.incrementAndGet();
            if (published == warmUp) {
                beginWall = System.nanoTime();
                beginCpu = SYSTEM.getProcessCpuTime();
            } else if (published == records) {
                endWall = System.nanoTime();
                endCpu = SYSTEM.getProcessCpuTime();
                DONE.countDown();
            }
        }

        @Override
        public ProducerRecord<byte[], byte[]> onSend(ProducerRecord<byte[], byte[]> row) {
            return row;
        }

        @Override
        public void close() {}

        @Override
        public void configure(Map<String, ?> settings) {}
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static Properties settings(Job job, String state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, job.group());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.servers());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), 2_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG), 600);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 4_000);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.INTERCEPTOR_CLASSES_CONFIG), Meter.class.getName());
        return settings;
    }

    public static void main(String[] arguments) throws Exception {
        Job job = JSON.readValue(arguments[0], Job.class);
        records = job.records();
        warmUp = records / 4;
        Path state = Files.createTempDirectory("kafka-streams-hop");
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(job.source(), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .process(Copy::new)
                .to(job.target(), Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings(job, state.toString()));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        boolean over = DONE.await(150, TimeUnit.SECONDS);
        streams.close();
        streams.cleanUp();
        Files.deleteIfExists(state);
        if (!over) throw new IllegalStateException("only " + PUBLISHED + " of " + records + " records are published");
        double counted = records - warmUp;
        System.out.printf(
                java.util.Locale.ROOT, "{\"per_s\": %f, \"cpu_us\": %f}%n",
                counted / ((endWall - beginWall) / 1e9), (endCpu - beginCpu) / 1e3 / counted);
    }
}
