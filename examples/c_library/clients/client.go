// go run client.go, with CGO_CFLAGS and CGO_LDFLAGS as pkg-config has them.
package main

// #cgo LDFLAGS: -lseries
// #include <series.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// check tells what was wrong; the text belongs to the thread, in which main() stays.
func check(status C.int) error {
	if status == C.SERIES_OK {
		return nil
	}
	return fmt.Errorf("error %d: %s", status, C.GoString(C.series_last_error()))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func fromSlice(data []float32, shape []int64) (value C.series_value) {
	dtype := C.CString("float32")
	defer C.free(unsafe.Pointer(dtype))
	must(check(C.series_tensor_copy(unsafe.Pointer(&data[0]), dtype,
		(*C.int64_t)(unsafe.Pointer(&shape[0])), C.size_t(len(shape)), &value)))
	return value
}

func call(model C.series_model, method string, arguments ...C.series_value) (C.series_value, error) {
	name := C.CString(method)
	defer C.free(unsafe.Pointer(name))
	var result C.series_value
	err := check(C.series_call(model, name, &arguments[0], C.size_t(len(arguments)), &result))
	return result, err
}

func find(value C.series_value, name string) (item C.series_value) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	must(check(C.series_find(value, text, &item)))
	return item
}

func item(value C.series_value, index int) (item C.series_value) {
	must(check(C.series_item(value, C.size_t(index), &item)))
	return item
}

func fromString(text string) (value C.series_value) {
	bytes := C.CString(text)
	defer C.free(unsafe.Pointer(bytes))
	must(check(C.series_string(bytes, C.size_t(len(text)), &value)))
	return value
}

func main() {
	runtime.LockOSThread()
	var model C.series_model
	must(check(C.series_open(nil, &model)))
	var count C.size_t
	must(check(C.series_method_count(model, &count)))
	for i := C.size_t(0); i < count; i++ {
		var schema *C.char
		must(check(C.series_method_schema(model, i, &schema)))
		fmt.Println(C.GoString(schema))
	}

	series := fromSlice([]float32{1, 2, 3, 4, 2, 6}, []int64{2, 3})
	var scale C.series_value
	must(check(C.series_float(0.5, &scale)))
	result, err := call(model, "forward", series, scale)
	must(err)
	for _, output := range []struct {
		name  string
		count int
	}{{"scaled", 6}, {"mean", 2}} {
		tensor := find(result, output.name)
		numbers := make([]float32, output.count)
		must(check(C.series_read(tensor, unsafe.Pointer(&numbers[0]), C.size_t(4*output.count))))
		fmt.Printf("%s:", output.name)
		for _, number := range numbers {
			fmt.Printf(" %.6f", number)
		}
		fmt.Println()
		must(check(C.series_free(tensor)))
	}
	must(check(C.series_free(result)))

	texts := []C.series_value{fromString("a"), fromString("b")}
	var names C.series_value
	must(check(C.series_list(&texts[0], 2, &names)))
	result, err = call(model, "describe", series, names)
	must(err)
	words, counts := item(result, 0), item(result, 1)
	var text *C.char
	var bytes, size C.size_t
	must(check(C.series_get_text(words, &text, &bytes)))
	fmt.Println(C.GoStringN(text, C.int(bytes)))
	must(check(C.series_size(counts, &size)))
	for i := 0; i < int(size); i++ {
		part := item(counts, i)
		var number C.int64_t
		must(check(C.series_get_int(part, &number)))
		fmt.Println("rises:", number)
		must(check(C.series_free(part)))
	}

	_, err = call(model, "forward", series)
	fmt.Println(err)
	for _, value := range append(texts, series, scale, names, result, words, counts) {
		must(check(C.series_free(value)))
	}
	must(check(C.series_close(model)))
}
