// Writes java.json: values as Apache Avro for Java encodes or refuses them.
//   java -cp "lib/*" JavaVectors.java, where lib has org.apache.avro:avro:1.12.0 with what it needs

import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.EncoderFactory;

class JavaVectors {
    static final GenericData DATA = new GenericData();
    static final List<String> VECTORS = new ArrayList<>();
    static int refused = 0;

    static void add(String schema, Object value, String json) {
        String hex;
        try {
            Schema parsed = new Schema.Parser().parse(schema);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            var encoder = EncoderFactory.get().binaryEncoder(out, null);
            new GenericDatumWriter<Object>(parsed, DATA).write(value, encoder);
            encoder.flush();
            hex = "\"" + HexFormat.of().formatHex(out.toByteArray()) + "\"";
        } catch (RuntimeException | java.io.IOException refusal) {
            hex = "null";
            refused++;
        }
        VECTORS.add("{\"schema\": " + schema + ", \"json\": " + json + ", \"hex\": " + hex + "}");
    }

    static String decimal(int precision, int scale) {
        return "{\"type\": \"bytes\", \"logicalType\": \"decimal\", \"precision\": " + precision + ", \"scale\": "
            + scale + "}";
    }

    static String fixed(int size, int precision, int scale) {
        return "{\"type\": \"fixed\", \"name\": \"D\", \"size\": " + size + ", \"logicalType\": \"decimal\", "
            + "\"precision\": " + precision + ", \"scale\": " + scale + "}";
    }

    static String logical(String type, String name) {
        return "{\"type\": \"" + type + "\", \"logicalType\": \"" + name + "\"}";
    }

    static void number(String schema, String number) {
        add(schema, new BigDecimal(number), "\"" + number + "\"");
    }

    public static void main(String[] arguments) throws Exception {
        DATA.addLogicalTypeConversion(new Conversions.DecimalConversion());
        DATA.addLogicalTypeConversion(new Conversions.BigDecimalConversion());
        DATA.addLogicalTypeConversion(new Conversions.UUIDConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.DateConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimeMillisConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimeMicrosConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampNanosConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.LocalTimestampMillisConversion());

        add("\"int\"", Integer.MIN_VALUE, "-2147483648");
        add("\"long\"", Long.MAX_VALUE, "9223372036854775807");
        add("\"float\"", 19.99f, "19.99");
        add("\"double\"", 0.1, "0.1");
        add("\"double\"", Double.NaN, "\"NaN\"");
        add("\"float\"", Float.NEGATIVE_INFINITY, "\"-Infinity\"");
        add("\"string\"", "\u017c\u00f3\u0142w", "\"\u017c\u00f3\u0142w\"");
        add("\"string\"", 1, "1");
        add("\"boolean\"", "true", "\"true\"");
        add("\"bytes\"", ByteBuffer.wrap(new byte[] {0, -1, 65}), "\"\\u0000\u00ffA\"");
        number(decimal(9, 2), "1.23");
        number(decimal(9, 2), "-0.05");
        number(decimal(9, 2), "0.00");
        number(decimal(9, 2), "1.28");
        number(decimal(9, 2), "-1.28");
        number(decimal(9, 2), "327.68");
        number(decimal(9, 2), "1.234");
        number(decimal(4, 2), "123.45");
        number(decimal(12, 0), "1234567890123");
        number(decimal(38, 0), "10000000000000000000000000000000000000");
        number(decimal(60, 5), "-1234567890123456789012345678901234567890.12345");
        number(fixed(20, 38, 2), "1.23");
        number(fixed(20, 38, 2), "-1.23");
        number(fixed(2, 4, 0), "-129");
        number(fixed(2, 4, 0), "10000");
        number(logical("bytes", "big-decimal"), "1.2345");
        number(logical("bytes", "big-decimal"), "-7");
        String uuid = "0f3a1c1e-8a9b-4c56-9d5e-0123456789ab";
        add(logical("string", "uuid"), UUID.fromString(uuid), "\"" + uuid + "\"");
        add("{\"type\": \"fixed\", \"name\": \"U\", \"size\": 16, \"logicalType\": \"uuid\"}", UUID.fromString(uuid),
            "\"" + uuid + "\"");
        add(logical("int", "date"), LocalDate.of(2026, 1, 31), "\"2026-01-31\"");
        add(logical("int", "date"), LocalDate.of(1815, 12, 10), "\"1815-12-10\"");
        add(logical("int", "time-millis"), LocalTime.of(9, 30, 0, 250_000_000), "\"09:30:00.250\"");
        add(logical("long", "time-micros"), LocalTime.of(23, 59, 59, 999_999_000), "\"23:59:59.999999\"");
        add(logical("long", "timestamp-millis"), Instant.parse("2026-01-31T09:30:00.123Z"),
            "\"2026-01-31T09:30:00.123Z\"");
        add(logical("long", "timestamp-micros"), Instant.parse("1969-12-31T23:59:59.999999Z"),
            "\"1969-12-31T23:59:59.999999Z\"");
        add(logical("long", "timestamp-nanos"), Instant.parse("2026-01-31T09:30:00.123456789Z"),
            "\"2026-01-31T09:30:00.123456789Z\"");
        add(logical("long", "local-timestamp-millis"), LocalDateTime.of(2026, 1, 31, 9, 30),
            "\"2026-01-31T09:30:00.000\"");
        add("[\"null\", \"string\"]", null, "null");
        add("[\"null\", \"string\"]", "s", "\"s\"");
        add("{\"type\": \"array\", \"items\": [\"null\", \"int\"]}", Arrays.asList(1, null), "[1, null]");
        add("{\"type\": \"map\", \"values\": \"long\"}", Map.of("a", 1L), "{\"a\": 1}");
        Files.writeString(Path.of("java.json"), "[\n" + String.join(",\n", VECTORS) + "\n]\n");
        System.out.println(VECTORS.size() + " values, " + refused + " refused");
    }
}
